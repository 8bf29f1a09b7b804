//! A service whose process fails once for each line of its standard input. It prints a line when its telemetry has
//! started, and ends when its standard input ends. It has 170 more processes, so that their series are more than a
//! meter provider keeps by default.

use std::io::BufRead;

use process_runtime::critical_process;
use process_runtime::telemetry::TelemetryBuilder;

#[critical_process(id = "first_failure", version = "1.0.0", sla = "10s")]
fn fail() -> Result<(), &'static str> {
    Err("on demand")
}

macro_rules! more {
    ($($id:literal)+) => {
        $(
            const _: () = {
                #[critical_process(id = $id, version = "1.0.0", sla = "10s")]
                fn _run() {}
            };
        )+
    };
}

more! {
    "p000" "p001" "p002" "p003" "p004" "p005" "p006" "p007" "p008" "p009" "p010" "p011"
    "p012" "p013" "p014" "p015" "p016" "p017" "p018" "p019" "p020" "p021" "p022" "p023"
    "p024" "p025" "p026" "p027" "p028" "p029" "p030" "p031" "p032" "p033" "p034" "p035"
    "p036" "p037" "p038" "p039" "p040" "p041" "p042" "p043" "p044" "p045" "p046" "p047"
    "p048" "p049" "p050" "p051" "p052" "p053" "p054" "p055" "p056" "p057" "p058" "p059"
    "p060" "p061" "p062" "p063" "p064" "p065" "p066" "p067" "p068" "p069" "p070" "p071"
    "p072" "p073" "p074" "p075" "p076" "p077" "p078" "p079" "p080" "p081" "p082" "p083"
    "p084" "p085" "p086" "p087" "p088" "p089" "p090" "p091" "p092" "p093" "p094" "p095"
    "p096" "p097" "p098" "p099" "p100" "p101" "p102" "p103" "p104" "p105" "p106" "p107"
    "p108" "p109" "p110" "p111" "p112" "p113" "p114" "p115" "p116" "p117" "p118" "p119"
    "p120" "p121" "p122" "p123" "p124" "p125" "p126" "p127" "p128" "p129" "p130" "p131"
    "p132" "p133" "p134" "p135" "p136" "p137" "p138" "p139" "p140" "p141" "p142" "p143"
    "p144" "p145" "p146" "p147" "p148" "p149" "p150" "p151" "p152" "p153" "p154" "p155"
    "p156" "p157" "p158" "p159" "p160" "p161" "p162" "p163" "p164" "p165" "p166" "p167"
    "p168" "p169"
}

fn main() {
    let _telemetry = TelemetryBuilder::new().service("first_failure", "1.0.0").init();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        if line.is_ok() {
            let _ = fail();
        }
    }
}
