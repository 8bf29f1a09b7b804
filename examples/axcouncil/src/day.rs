//! Plays a day of the service in steps. Each step lists the runs that it must cause, and compares them with the
//! counts in the registry.

mod client;
mod counts;
mod print;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use axcouncil::{ACME_USER, PASSWORD, Running, UMBRA_USER};
use process_runtime::registry::{self, InFlight};
use process_runtime::telemetry::Telemetry;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::client::{Client, Reply};
use self::counts::{Counts, cancelled, degraded, failed, late, rejected, succeeded};

const AUTHENTICATION: &str = "user_authentication";
const CONTEXT: &str = "company_context_load";
const COUNCIL: &str = "council_deliberation_3stage";
const DELETE: &str = "department_delete";
const KNOWLEDGE: &str = "knowledge_entry_save";
const PAYMENT: &str = "payment_subscription";
const STAGE1: &str = "council_deliberation_3stage.stage1";
const STAGE2: &str = "council_deliberation_3stage.stage2";
const STAGE3: &str = "council_deliberation_3stage.stage3";

/// The longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two checks while waiting.
const LOOK: Duration = Duration::from_millis(10);

/// Light traffic. The three constants are the number of requests, the time between two requests, and the distance
/// between two logins in requests.
const REQUESTS: u64 = 300;
const EVERY: Duration = Duration::from_millis(20);
const LOGIN_EVERY: u64 = 5;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Plays the day and prints it. Returns whether every step had the expected result.
pub(crate) async fn play(running: &Running, telemetry: &Telemetry, directory: &Path) -> Result<bool> {
    print::registry();
    print::heading("The day");
    let mut day = Day {
        client: Client::new(running)?,
        is_traced: print::is_traced(telemetry),
        problems: Vec::new(),
        broken: None,
    };

    let umbra = day.login("Umbra's user logs in", UMBRA_USER).await?;
    let hung = day.hang(umbra).await?;
    day.morning().await?;
    day.trouble().await?;
    day.traffic().await?;
    day.overdue().await?;
    day.release(hung).await?;

    print::outcomes();
    print::durations();
    day.problems.extend(print::timeline(telemetry, directory, day.broken.as_deref())?);
    print::telemetry(telemetry);
    if !registry::in_flight().is_empty() {
        day.problems.push("some runs are still in flight at the end of the day".to_owned());
    }
    day.problems.extend(registry::validate().iter().map(|finding| format!("registry: {finding}")));
    print::result(&day.problems);
    Ok(day.problems.is_empty())
}

struct Day {
    client: Client,
    /// Whether traces have a destination. Responses must then have a trace id, and otherwise must not have one.
    is_traced: bool,
    /// Results that were not expected.
    problems: Vec<String>,
    /// The trace id of the payment that failed, or `None` before that payment.
    broken: Option<String>,
}

impl Day {
    /// Compares the counts since `before` with the expected ones, and records a problem if they differ. Waits up to
    /// [`PATIENCE`] until they agree, because a service notices with a delay that a client has hung up.
    async fn expect(&mut self, step: &str, before: &Counts, answer: &str, expected: Counts) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut counted = Counts::now()?.since(before);
        while counted != expected && Instant::now() < deadline {
            sleep(LOOK).await;
            counted = Counts::now()?.since(before);
        }
        if counted != expected {
            self.problems.push(format!("{step}: the counted runs differ from the expected ones"));
        }
        print::step(step, answer, &counted, &expected);
        Ok(())
    }

    /// Sends a request. Records a problem if the answer does not have this status, or if other runs than the expected
    /// ones were counted.
    async fn answered(
        &mut self,
        step: &str,
        request: impl Future<Output = Result<Reply>>,
        status: u16,
        expected: impl Into<Counts>,
    ) -> Result<Reply> {
        let before = Counts::now()?;
        let reply = request.await?;
        let answer = if reply.status == status {
            format!("{status}")
        } else {
            self.problems.push(format!("{step}: the status is {} instead of {status}", reply.status));
            format!("{} instead of {status}: {}", reply.status, reply.body)
        };
        self.expect(step, &before, &answer, expected.into()).await?;
        Ok(reply)
    }

    /// Logs in and returns the user's client.
    async fn login(&mut self, step: &str, email: &str) -> Result<Client> {
        let anyone = self.client.clone();
        let request = anyone.login(email, PASSWORD);
        let reply = self.answered(step, request, 200, [succeeded(AUTHENTICATION, 1)]).await?;
        anyone.with_token(&reply)
    }

    /// Starts a deliberation of Umbra Logistics in which the third model hangs. The deliberation keeps running until
    /// [`Day::release`].
    async fn hang(&mut self, umbra: Client) -> Result<JoinHandle<Result<Reply>>> {
        let before = Counts::now()?;
        umbra.models(json!({ "mode": "hang", "path": "/v1/answer", "model": "hypnos" })).await?;
        let request = async move { umbra.deliberate("Which route is the safest in winter?", Some(3)).await };
        let hung = tokio::spawn(request);
        until("the deliberation to hang", || stages_in_flight("stage1").len() == 1).await?;
        let step = "A deliberation begins; model hypnos hangs";
        self.expect(step, &before, "still running", [succeeded(CONTEXT, 1)].into()).await?;
        Ok(hung)
    }

    /// Plays the steps in which everything works.
    async fn morning(&mut self) -> Result<()> {
        self.client = self.login("Acme's user logs in", ACME_USER).await?;
        let client = self.client.clone();
        let entry = json!({
            "title": "Prices", "body": "No discount above ten percent.",
            "tags": ["Pricing", "sales"], "auto_inject": true,
        });
        let saved = [succeeded(KNOWLEDGE, 1)];
        self.answered("A decision is saved", client.post("/knowledge", &entry), 201, saved).await?;
        let order = client.subscribe();
        self.answered("A subscription is bought", order, 201, [succeeded(PAYMENT, 1)]).await?;
        let removal = client.delete("/departments/2");
        self.answered("A department is deleted, with its roles", removal, 200, [succeeded(DELETE, 1)])
            .await?;
        let deliberation = client.deliberate("Should we open an office in Lisbon?", Some(1));
        let council = [CONTEXT, STAGE1, STAGE2, STAGE3, COUNCIL].map(|id| succeeded(id, 1));
        self.answered("The council deliberates", deliberation, 200, council).await?;
        Ok(())
    }

    /// Plays the steps in which something fails, each in a different way.
    async fn trouble(&mut self) -> Result<()> {
        let client = self.client.clone();
        client.models(json!({ "mode": "hang", "path": "/v1/synthesize" })).await?;
        let deliberation = client.deliberate("Should we lease the robots?", None);
        let fallback = [
            succeeded(CONTEXT, 1),
            succeeded(STAGE1, 1),
            succeeded(STAGE2, 1),
            failed(STAGE3, 1),
            degraded(COUNCIL, 1),
        ];
        self.answered("The chairman hangs; the best answer replaces it", deliberation, 200, fallback).await?;
        client.models(json!({ "mode": "ok", "path": "/v1/synthesize" })).await?;

        let empty = client.deliberate("  ", None);
        self.answered("A client sends an empty question", empty, 422, [rejected(COUNCIL, 1)]).await?;
        let login = client.login(ACME_USER, "incorrect horse");
        self.answered("A client sends a wrong password", login, 401, [rejected(AUTHENTICATION, 1)]).await?;

        client.payments("decline").await?;
        self.answered("A card is declined", client.subscribe(), 402, [rejected(PAYMENT, 1)]).await?;
        client.payments("fail").await?;
        let broken = client.subscribe();
        let reply = self
            .answered("The payment provider answers with status 500", broken, 502, [failed(PAYMENT, 1)])
            .await?;
        if reply.trace.is_some() != self.is_traced {
            self.problems
                .push(format!("the failed payment: unexpected trace id {:?} in the response", reply.trace));
        }
        if reply.body["error"]["trace_id"].as_str() != reply.trace.as_deref() {
            self.problems.push("the failed payment: the trace ids in body and header differ".to_owned());
        }
        self.broken = reply.trace;
        client.payments("ok").await?;
        self.unhealthy().await?;
        self.hang_up().await
    }

    /// Queries the health endpoints while the council cannot work. The runs of health probes are not counted.
    async fn unhealthy(&mut self) -> Result<()> {
        let client = self.client.clone();
        client.models(json!({ "mode": "fail", "path": "/v1/rank" })).await?;
        let probe = client.get("/health/council");
        self.answered("No model can rank; the health of the council fails", probe, 503, []).await?;
        let living = client.get("/health/live");
        self.answered("The service is still live", living, 200, []).await?;
        client.models(json!({ "mode": "ok", "path": "/v1/rank" })).await
    }

    /// Lets a client hang up during its deliberation.
    async fn hang_up(&mut self) -> Result<()> {
        let client = self.client.clone();
        client.models(json!({ "mode": "hang", "path": "/v1/answer", "model": "zephyr" })).await?;
        let before = Counts::now()?;
        let asking = client.clone();
        let request = tokio::spawn(async move { asking.deliberate("Never mind?", None).await });
        until("the second deliberation to hang", || stages_in_flight("stage1").len() == 2).await?;
        request.abort();
        let left = [succeeded(CONTEXT, 1), cancelled(STAGE1, 1), cancelled(COUNCIL, 1)];
        self.expect("A client hangs up during its deliberation", &before, "hung up", left.into()).await?;
        client.models(json!({ "mode": "ok", "path": "/v1/answer", "model": "zephyr" })).await
    }

    /// Sends everyday requests: enough for meaningful percentiles, and few enough to put little load on the machine.
    async fn traffic(&mut self) -> Result<()> {
        let (client, before) = (self.client.clone(), Counts::now()?);
        let entry = json!({ "title": "Note", "body": "As every day.", "tags": ["routine"] });
        let mut ticks = tokio::time::interval(EVERY);
        let mut answered = 0;
        for request in 0..REQUESTS {
            ticks.tick().await;
            let reply = if request % LOGIN_EVERY == 0 {
                client.login(ACME_USER, PASSWORD).await?
            } else {
                client.post("/knowledge", &entry).await?
            };
            answered += u64::from(reply.status < 300);
        }
        let logins = REQUESTS / LOGIN_EVERY;
        let traffic = [succeeded(AUTHENTICATION, logins), succeeded(KNOWLEDGE, REQUESTS - logins)];
        if answered != REQUESTS {
            self.problems.push(format!("{answered} of {REQUESTS} everyday requests succeeded"));
        }
        let answer = format!("{answered} succeeded");
        self.expect(&format!("{REQUESTS} everyday requests"), &before, &answer, traffic.into()).await
    }

    /// Waits until the deliberation that hangs exceeds its SLA, and prints the overdue runs.
    async fn overdue(&mut self) -> Result<()> {
        let mut printed = Instant::now();
        let sla = registry::get(COUNCIL)?.sla();
        if let Some(run) = deliberations().first() {
            print::waiting(sla.saturating_sub(run.elapsed), sla);
        }
        while let Some(run) = deliberations().first()
            && !run.overdue
        {
            if printed.elapsed() >= Duration::from_secs(30) {
                printed = Instant::now();
                print::waiting(sla.saturating_sub(run.elapsed), sla);
            }
            sleep(Duration::from_millis(200)).await;
        }
        if registry::stats(COUNCIL)?.overdue != 1 {
            self.problems.push("the deliberation that hangs is not reported as overdue".to_owned());
        }
        print::overdue();
        Ok(())
    }

    /// Lets the model answer, so that the deliberation that hangs ends late.
    async fn release(&mut self, hung: JoinHandle<Result<Reply>>) -> Result<()> {
        print::heading("The evening");
        let client = self.client.clone();
        let released = async {
            client.models(json!({ "mode": "ok", "path": "/v1/answer", "model": "hypnos" })).await?;
            hung.await?
        };
        let ended = [late(STAGE1, 1), succeeded(STAGE2, 1), succeeded(STAGE3, 1), late(COUNCIL, 1)];
        self.answered("Model hypnos answers, and the deliberation ends", released, 200, ended).await?;
        Ok(())
    }
}

/// Returns the running deliberations, the oldest first.
fn deliberations() -> Vec<InFlight> {
    let runs = registry::in_flight().into_iter();
    let is_process = |run: &InFlight| run.stage.is_none() && run.dependency.is_none();
    runs.filter(|run| is_process(run) && run.process.is_some_and(|process| process.id() == COUNCIL)).collect()
}

fn stages_in_flight(id: &str) -> Vec<InFlight> {
    let runs = registry::in_flight().into_iter();
    runs.filter(|run| run.stage.is_some_and(|stage| stage.id() == id)).collect()
}

/// Waits until `came` returns true. Returns an error after [`PATIENCE`].
async fn until(what: &str, came: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !came() {
        if Instant::now() > deadline {
            return Err(format!("waited {PATIENCE:?} for {what}").into());
        }
        sleep(LOOK).await;
    }
    Ok(())
}
