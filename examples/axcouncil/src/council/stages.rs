//! The three stages of a deliberation. The time limit for a model exceeds the SLA, so a model that hangs makes the
//! run overdue.

use std::collections::HashMap;

use futures::future::try_join_all;
use process_runtime::stage;

use super::{Answer, CouncilError, Models};

/// Asks all models at the same time. Their answers are independent of one another.
#[stage(
    process = "council_deliberation_3stage",
    id = "stage1",
    name = "Answers",
    sla = "45s",
    error_type = CouncilError::kind,
    depends_on("model_provider"),
)]
pub(super) async fn answer(
    models: &Models,
    members: &[String],
    prompt: &str,
) -> Result<Vec<Answer>, CouncilError> {
    let answers = members.iter().map(|model| models.answer(model, prompt));
    Ok(try_join_all(answers).await?)
}

/// Lets every model rank the answers, and returns the answers with the best first.
#[stage(
    process = "council_deliberation_3stage",
    id = "stage2",
    name = "Ranking",
    sla = "30s",
    after("stage1"),
    error_type = CouncilError::kind,
    depends_on("model_provider"),
)]
pub(super) async fn rank(
    models: &Models,
    prompt: &str,
    answers: Vec<Answer>,
) -> Result<Vec<Answer>, CouncilError> {
    let ballots = answers.iter().map(|voter| models.rank(&voter.model, prompt, &answers));
    let ballots = try_join_all(ballots).await?;
    Ok(count(answers, &ballots))
}

/// Lets the chairman combine all answers into one.
#[stage(
    process = "council_deliberation_3stage",
    id = "stage3",
    name = "Synthesis",
    sla = "30s",
    after("stage2"),
    error_type = CouncilError::kind,
    depends_on("model_provider"),
)]
pub(super) async fn synthesize(
    models: &Models,
    chairman: &str,
    prompt: &str,
    ranked: &[Answer],
) -> Result<String, CouncilError> {
    Ok(models.synthesize(chairman, prompt, ranked).await?)
}

/// Sorts the answers by Borda's count. First, a model's vote for its own answer is removed from its ballot. Then the
/// last name on a ballot gets one point, and every other name gets one point more than the name after it. The points
/// of unknown names are ignored. Answers with the same number of points keep their order.
fn count(mut answers: Vec<Answer>, ballots: &[Vec<String>]) -> Vec<Answer> {
    let mut points: HashMap<String, usize> = HashMap::new();
    for (voter, ballot) in answers.iter().zip(ballots) {
        let others: Vec<_> = ballot.iter().filter(|model| **model != voter.model).collect();
        for (place, model) in others.iter().enumerate() {
            *points.entry(model.to_string()).or_default() += others.len() - place;
        }
    }
    answers.sort_by_key(|answer| std::cmp::Reverse(points.get(&answer.model).copied().unwrap_or_default()));
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(ballots: [&[&str]; 3]) -> Vec<String> {
        let answers = ["a", "b", "c"].map(|model| Answer { model: model.into(), text: String::new() });
        let ballots = ballots.map(|ballot| ballot.iter().map(|model| model.to_string()).collect());
        count(answers.into(), &ballots).into_iter().map(|answer| answer.model).collect()
    }

    #[test]
    fn the_answer_that_others_prefer_is_first() {
        assert_eq!(order([&["c", "b"], &["c", "a"], &["a", "b"]]), ["c", "a", "b"]);
    }

    #[test]
    fn a_vote_for_oneself_is_no_vote() {
        assert_eq!(order([&["a", "c", "b"], &["b", "c", "a"], &["c", "b", "a"]]), ["c", "b", "a"]);
    }

    #[test]
    fn without_votes_the_seats_decide() {
        assert_eq!(order([&[], &["unknown"], &[]]), ["a", "b", "c"]);
    }
}
