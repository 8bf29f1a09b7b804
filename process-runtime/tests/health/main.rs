//! Tests of the answers of the health endpoints. The checks and their state are in this file, and the requests are in
//! the modules.

mod answers;
#[path = "../shared/asking.rs"]
mod asking;
#[path = "../shared/children.rs"]
mod children;
mod executions;
mod foreign;
mod liveness;
mod probes;
mod readiness;
mod reasons;
mod runtimes;
mod traffic;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_runtime::health::{CheckVerdict, Setup};
use process_runtime::{critical_process, dependency, dependency_check, health_check, stage};

use asking::get;

/// How a process or dependency behaves under a check.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Works,
    Fails,
    Degrades,
    Rejects,
    IsLate,
    Panics,
    Hangs,
    Blocks,
    DoesNotRun,
}

/// The application state that the checks of one test receive.
#[derive(Clone, Debug, Default)]
struct World {
    council: Arc<Mutex<Mode>>,
    database: Arc<Mutex<Mode>>,
    probed: Arc<AtomicUsize>,
    /// How many executions of checks are running.
    running: Arc<AtomicUsize>,
}

impl World {
    fn new(council: Mode, database: Mode) -> World {
        let world = World::default();
        world.set(council, database);
        world
    }

    fn set(&self, council: Mode, database: Mode) {
        *self.council.lock().unwrap() = council;
        *self.database.lock().unwrap() = database;
    }

    fn executions(&self) -> usize {
        self.probed.load(Ordering::SeqCst)
    }

    fn health(&self) -> Setup {
        Setup::new().with(self.clone())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("host db-7 refuses")]
struct CouncilError;

impl CouncilError {
    fn is_mistake(_: &CouncilError) -> bool {
        true
    }
}

/// The council.
#[critical_process(
    id = "council_deliberation_3stage",
    version = "2.1.0",
    sla = "2s",
    degraded = is_degraded,
    depends_on("openrouter_api", "supabase_db"),
)]
async fn deliberate(mode: Mode) -> Result<bool, CouncilError> {
    stage1(mode).await?;
    if mode == Mode::IsLate {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    Ok(mode == Mode::Degrades)
}

fn is_degraded(degraded: &bool) -> bool {
    *degraded
}

#[stage(id = "stage1", process = "council_deliberation_3stage")]
async fn stage1(mode: Mode) -> Result<(), CouncilError> {
    dependency("openrouter_api", async { if mode == Mode::Fails { Err(CouncilError) } else { Ok(()) } }).await
}

#[stage(id = "stage2", process = "council_deliberation_3stage")]
async fn _stage2() {}

#[health_check(process = "council_deliberation_3stage", timeout = "10s", cached_for = "5s")]
async fn the_council_deliberates(world: World) -> Result<(), CouncilError> {
    world.probed.fetch_add(1, Ordering::SeqCst);
    let mode = *world.council.lock().unwrap();
    match mode {
        Mode::Panics => panic!("on demand"),
        Mode::Hangs => std::future::pending().await,
        Mode::Blocks => std::thread::sleep(Duration::from_secs(3600)),
        Mode::DoesNotRun => return Ok(()),
        _ => {}
    }
    assert_eq!(world.running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
    let done = deliberate(mode).await.map(drop);
    world.running.fetch_sub(1, Ordering::SeqCst);
    done
}

#[dependency_check(id = "supabase_db", timeout = "2s")]
async fn the_database_answers(world: World) -> CheckVerdict {
    let mode = *world.database.lock().unwrap();
    match mode {
        Mode::Works => CheckVerdict::Pass,
        Mode::Hangs => std::future::pending().await,
        Mode::Blocks => {
            std::thread::sleep(Duration::from_secs(3600));
            CheckVerdict::Pass
        }
        _ => CheckVerdict::Fail("host db-7 refuses".to_owned()),
    }
}

/// A process that is checked on a schedule.
#[critical_process(id = "scheduled", version = "1.0.0", sla = "1s", rejects(_error if CouncilError::is_mistake(_error)))]
async fn scheduled(mode: Mode) -> Result<(), CouncilError> {
    if mode == Mode::Rejects { Err(CouncilError) } else { Ok(()) }
}

#[derive(Clone, Debug, Default)]
struct Clockwork {
    mode: Arc<Mutex<Mode>>,
    rounds: Arc<AtomicUsize>,
}

#[health_check(process = "scheduled", timeout = "10s", every = "5m")]
async fn the_schedule_works(clockwork: Clockwork) -> Result<(), std::fmt::Error> {
    clockwork.rounds.fetch_add(1, Ordering::SeqCst);
    let mode = *clockwork.mode.lock().unwrap();
    if mode == Mode::Hangs {
        std::future::pending::<()>().await;
    }
    let _ = scheduled(mode).await;
    Ok(())
}

/// The behaviour of a check whose timeout is longer than a response waits.
#[derive(Clone, Debug, Default)]
struct Kiln(Arc<Mutex<Mode>>);

#[dependency_check(id = "kiln", timeout = "29s", cached_for = "5s")]
async fn the_kiln_heats(kiln: Kiln) {
    let mode = *kiln.0.lock().unwrap();
    match mode {
        Mode::Hangs => std::future::pending().await,
        Mode::Blocks => std::thread::sleep(Duration::from_secs(3600)),
        _ => {}
    }
}

/// The behaviour of a check with a short timeout.
#[derive(Clone, Debug)]
struct Lathe(fn() -> Result<(), foreign::Broken>);

#[dependency_check(id = "lathe", timeout = "200ms")]
async fn the_lathe_turns(lathe: Lathe) -> Result<(), foreign::Broken> {
    (lathe.0)()
}

/// A process without a check.
#[critical_process(id = "unprobed", version = "1.0.0", sla = "1s", objective = 90.0)]
async fn unprobed(works: bool) -> Result<(), CouncilError> {
    if works { Ok(()) } else { Err(CouncilError) }
}

const COUNCIL: &str = "/council_deliberation_3stage";
