use process_runtime::{critical_process, record};

#[derive(Debug)]
struct Model;

#[critical_process(id = "rank", version = "1.0.0", sla = "2s", context(later(count, best, kind, text)))]
fn rank(models: &[Model]) -> usize {
    record!(count = models.len());
    record!(best = ?models[0], kind = %"large",);
    for model in models {
        let tell = || record!(text = format!("{model:?}"));
        tell();
    }
    record!();
    models.len()
}

fn main() {
    assert_eq!(rank(&[Model, Model]), 2);
}
