//! The stage search → video: asks the site one search, judges its hits and stores them as evidence.

use std::sync::Arc;

use serde_json::json;

use crate::catalog::answers::Asking;
use crate::catalog::{
    self, Catalog, CatalogError, Transaction, answers, evidence, jobs, searches, tombstones, videos,
};
use crate::clock::Stop;
use crate::config::CrawlConfig;
use crate::failure::{Failure, Reason};
use crate::types::{AnswerId, SearchId, StageName};
use crate::youtube::{Answer, FoundVideo, Question, SearchProvider, asks_for_short, policy};

use super::budget::Budget;
use super::{JobContext, Outcome, Stage, fetch};

/// The stage's name in the job table.
pub(crate) const NAME: StageName = StageName::Search;
/// Raised when its output would differ for the same settings.
const REV: &str = "2";
/// The revision of searches in catalogs that do not record the settings they were asked with.
pub(crate) const FIRST_REV: &str = "1";

/// What is asked under a policy; the same is never asked twice. The provider is not part of it, since both are asked
/// the same, except that only the Data API is told the region and whether videos may be long. Other rules that reject
/// hits are not part of it either: `retry` reverts their verdicts.
pub(crate) fn asking(policy: &CrawlConfig, has_key: bool) -> Asking {
    let region = policy.region.as_deref().filter(|_| has_key);
    let asked = if has_key && !asks_for_short(policy) {
        json!([policy.licence, region, "any-duration"])
    } else {
        json!([policy.licence, region])
    };
    let fingerprint = format!("{REV}-{asked}");
    Asking { fingerprint, wanted: policy.results_per_search }
}

/// The revision of searches that are asked like this. Asked differently, a search is new work.
pub(crate) fn rev(asking: &Asking) -> String {
    format!("{}-{}", asking.fingerprint, asking.wanted)
}

/// Asks searches of one provider.
pub(crate) struct SearchStage {
    /// The provider.
    pub(crate) provider: Arc<dyn SearchProvider>,
    /// The provider's name in the ledger: `ytdlp` or `data-api`.
    pub(crate) asked_of: &'static str,
    /// The pace of requests to the site itself; none for the Data API, which has its own quota.
    pub(crate) budget: Option<Budget>,
    /// Which hits are kept.
    pub(crate) policy: CrawlConfig,
}

/// A search and its answer.
pub(crate) struct Asked {
    search: searches::Search,
    answer: Answer,
}

impl Stage for SearchStage {
    const NAME: StageName = NAME;
    const UNIT: &'static str = "searches";
    type Subject = searches::Search;
    type Output = Asked;

    fn rev(&self) -> String {
        rev(&self.asking())
    }

    fn shares_rate_limit_with(&self) -> &'static [StageName] {
        // A pause of the Data API does not concern downloads.
        if self.budget.is_some() { &[fetch::NAME] } else { &[] }
    }

    async fn load(&self, catalog: &Catalog, subject_id: i64) -> Result<Self::Subject, Failure> {
        Ok(searches::get(catalog, SearchId(subject_id)).await?)
    }

    async fn run(&self, search: Self::Subject, context: &JobContext<'_>) -> Result<Asked, Failure> {
        if let Some(budget) = &self.budget {
            budget.wait_for_turn(NAME, context).await?;
        }
        let answer =
            ask(self.provider.as_ref(), &search, self.policy.results_per_search, context.stop).await?;
        Ok(Asked { search, answer })
    }

    async fn commit(&self, tx: &mut Transaction, asked: Asked) -> Result<Outcome, CatalogError> {
        let Asked { search, answer } = asked;
        // Ranks continue across pages; the first page represents the whole answer.
        let Some(first_page) = self.put(tx, &search, &answer).await? else { return Ok(Outcome::Done) };
        answers::set_asked(tx, first_page, &self.asking()).await?;
        let (mut kept, wanted) = (0, self.policy.results_per_search);
        // The nth video of each emotion that may be fetched comes before the (n + 1)th of any: classes stay balanced.
        let before = videos::count_of_emotion(tx, search.asked.emotion).await?;
        for hit in &answer.hits {
            if kept == wanted {
                break;
            }
            let next = match policy::judge(hit, &self.policy) {
                Some(reason) => Next::Reject(reason),
                None => {
                    kept += 1;
                    Next::Fetch { priority: before + i64::from(kept) }
                }
            };
            let found = evidence::Evidence {
                search: search.id,
                answer: first_page,
                rank: hit.rank,
                emotion: search.asked.emotion,
            };
            record_hit(tx, hit, &found, next).await?;
        }
        let Some(said) = answer.broke_off.filter(|_| kept < wanted) else { return Ok(Outcome::Done) };
        answers::set_broke_off(tx, first_page, &said).await?;
        let detail = format!("the site broke off when {kept} of {wanted} videos were found: {said}");
        Ok(Outcome::InPart { reason: Reason::Network, detail })
    }
}

impl SearchStage {
    /// How this stage asks. With a budget it asks the site itself, without a key.
    fn asking(&self) -> Asking {
        asking(&self.policy, self.budget.is_none())
    }

    /// Stores the answer's pages; returns the first.
    async fn put(
        &self,
        tx: &mut Transaction,
        search: &searches::Search,
        answer: &Answer,
    ) -> catalog::Result<Option<AnswerId>> {
        let mut pages = Vec::new();
        for (page, raw) in answer.pages.iter().enumerate() {
            let row = answers::NewAnswer {
                search: search.id,
                asked_of: self.asked_of,
                tool_version: &answer.tool_version,
                page,
                hits: if page == 0 { answer.hits.len() } else { 0 },
                raw,
            };
            pages.push(answers::insert(tx, &row).await?);
        }
        // An answer that names videos which were forgotten here is not kept.
        let named: Vec<&str> = answer.hits.iter().map(|hit| hit.site_id.as_str()).collect();
        if tombstones::any_stands(tx, "youtube", &named).await? {
            answers::empty(tx, &pages).await?;
        }
        Ok(pages.first().copied())
    }
}

async fn ask(
    provider: &dyn SearchProvider,
    search: &searches::Search,
    keep: u32,
    stop: &Stop,
) -> Result<Answer, Failure> {
    let question =
        Question { text: &search.asked.text, want: keep, language: search.asked.language.as_deref() };
    Ok(provider.search(question, stop).await?)
}

/// What is to be done about a hit.
enum Next {
    /// Fetch it; a lower priority comes first.
    Fetch { priority: i64 },
    /// Reject it before it is fetched.
    Reject(Reason),
}

/// Records one hit: the video, the evidence, and the job to fetch it or its rejection.
async fn record_hit(
    tx: &mut Transaction,
    hit: &FoundVideo,
    found: &evidence::Evidence,
    next: Next,
) -> catalog::Result<()> {
    let video = videos::NewVideo {
        site: "youtube".to_owned(),
        site_id: hit.site_id.clone(),
        url: hit.url.clone(),
        title: Some(hit.title.clone()),
        channel_id: hit.channel_id.clone(),
        channel_name: hit.channel_name.clone(),
        promised_duration_ms: hit.duration_ms,
        licence: hit.licence.clone(),
    };
    let Some(id) = videos::upsert(tx, &video).await? else { return Ok(()) };
    evidence::insert(tx, id, found).await?;
    match next {
        Next::Fetch { priority } => {
            jobs::enqueue(tx, fetch::NAME, fetch::REV, priority, id.0).await?;
            // A premiere is an ordinary video by now, and what the site was processing may be out.
            for reason in [Reason::Live, Reason::NotYet] {
                jobs::overrule(tx, fetch::NAME, reason, priority, id.0).await?;
            }
            Ok(())
        }
        Next::Reject(reason) => {
            let verdict = jobs::Verdict { reason, detail: "by what the search says of it" };
            jobs::enqueue_rejected(tx, fetch::NAME, fetch::REV, id.0, verdict).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::catalog::listed;
    use crate::clock::Clock;
    use crate::config::LicencePolicy;
    use crate::pipeline::{DrivePlan, Driver, Patience};
    use crate::progress::Silent;
    use crate::types::{Emotion, JobState, VideoId};
    use crate::youtube::YoutubeError;

    /// Answers nothing.
    struct Nobody;

    impl SearchProvider for Nobody {
        fn search<'a>(
            &'a self,
            _question: Question<'a>,
            _stop: &'a Stop,
        ) -> BoxFuture<'a, Result<Answer, YoutubeError>> {
            async { Err(YoutubeError::Stopped) }.boxed()
        }
    }

    fn stage() -> SearchStage {
        let policy = CrawlConfig::default();
        SearchStage { provider: Arc::new(Nobody), asked_of: "ytdlp", budget: None, policy }
    }

    fn hit(number: u32, rank: u32) -> FoundVideo {
        FoundVideo {
            site_id: format!("v{number:010}"),
            url: String::new(),
            title: format!("a video that somebody called {number}"),
            channel_id: Some(format!("UC{number}")),
            channel_name: None,
            duration_ms: Some(if rank.is_multiple_of(4) { 900_000 } else { 60_000 }),
            licence: None,
            live: false,
            age_restricted: None,
            made_for_kids: None,
            in_region: None,
            rank,
        }
    }

    /// An answer of one page.
    fn answer(hits: Vec<FoundVideo>, broke_off: Option<&str>) -> Answer {
        let broke_off = broke_off.map(ToOwned::to_owned);
        Answer { tool_version: "yt-dlp".to_owned(), pages: vec![b"{}".to_vec()], hits, note: None, broke_off }
    }

    fn asked(search: &searches::Search, first: u32) -> Asked {
        let hits = (0..60).map(|place| hit(first + place, place + 1)).collect();
        let raw = b"{\"entries\": [{\"id\": \"v0000000001\", \"title\": \"a title\"}]}".repeat(300);
        Asked { search: search.clone(), answer: Answer { pages: vec![raw], ..answer(hits, None) } }
    }

    /// A catalog with this many planned searches.
    async fn planned(count: usize) -> (tempfile::TempDir, Catalog, Vec<searches::Search>) {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db"), &Clock::system()).await.unwrap();
        let wanted = |index: usize| searches::NewSearch {
            emotion: Emotion::ALL[index % 8],
            text: format!("text {index}"),
            word: "word".to_owned(),
            country: None,
            age_word: None,
            language: None,
        };
        let wanted: Vec<_> = (0..count).map(wanted).collect();
        let mut tx = catalog.begin().await.unwrap();
        searches::plan(&mut tx, "youtube", "test", &wanted).await.unwrap();
        tx.commit().await.unwrap();
        let searches = searches::list(&catalog, "youtube").await.unwrap();
        (folder, catalog, searches)
    }

    #[tokio::test]
    async fn the_nth_video_of_each_emotion_comes_before_the_next_of_any() {
        let (_folder, catalog, searches) = planned(2).await;
        for (search, first) in searches.iter().zip([1, 1_000]) {
            let mut tx = catalog.begin().await.unwrap();
            stage().commit(&mut tx, asked(search, first)).await.unwrap();
            tx.commit().await.unwrap();
        }
        let mut fetched = Vec::new();
        let claim = jobs::Claim { stage: fetch::NAME, rev: fetch::REV, worker: "w", lease_ms: 60_000 };
        for _ in 0..6 {
            let job = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
            let video = videos::get(&catalog, VideoId(job.subject_id)).await.unwrap();
            fetched.push(video.found.site_id);
        }
        let expected = [1, 1_000, 2, 1_001, 3, 1_002].map(|number| format!("v{number:010}"));
        assert_eq!(fetched, expected);
    }

    #[tokio::test]
    async fn an_emotion_whose_videos_are_rejected_does_not_come_later() {
        let (_folder, catalog, searches) = planned(9).await;
        // The first and the last search are of one emotion.
        let live = (1..=3).map(|number| FoundVideo { live: true, ..hit(number, number) }).collect();
        let of_another = vec![hit(20, 1), hit(21, 2)];
        for (search, hits) in [(0, live), (1, of_another), (8, vec![hit(10, 1)])] {
            let mut tx = catalog.begin().await.unwrap();
            let asked = Asked { search: searches[search].clone(), answer: answer(hits, None) };
            stage().commit(&mut tx, asked).await.unwrap();
            tx.commit().await.unwrap();
        }
        let mut fetched = Vec::new();
        let claim = jobs::Claim { stage: fetch::NAME, rev: fetch::REV, worker: "w", lease_ms: 60_000 };
        while let Some(job) = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap() {
            fetched.push(videos::get(&catalog, VideoId(job.subject_id)).await.unwrap().found.site_id);
        }
        assert_eq!(fetched, [20, 10, 21].map(|number| format!("v{number:010}")));
    }

    #[tokio::test]
    async fn a_raw_answer_that_names_who_was_forgotten_is_not_kept() {
        let (_folder, catalog, searches) = planned(2).await;
        let mut tx = catalog.begin().await.unwrap();
        // The last of sixty hits: no more of them than twenty are kept.
        tombstones::insert(&mut tx, "youtube", "v0000000060", "asked by mail").await.unwrap();
        for (search, first) in searches.iter().zip([1, 1_000]) {
            stage().commit(&mut tx, asked(search, first)).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(answers::expire(&catalog, i64::MAX).await.unwrap(), 1, "the other answer stays");
    }

    #[test]
    fn a_revision_tells_what_is_asked_and_not_what_is_rejected() {
        let policy = CrawlConfig::default();
        let told = |policy: &CrawlConfig, has_key| rev(&asking(policy, has_key));
        assert_eq!(told(&policy, true), r#"2-["creative-commons",null]-20"#);
        let region = Some("FR".to_owned());
        let other =
            CrawlConfig { licence: LicencePolicy::Any, results_per_search: 50, region, ..policy.clone() };
        assert_eq!(told(&other, true), r#"2-["any","FR"]-50"#);
        assert_eq!(told(&other, false), r#"2-["any",null]-50"#, "without a key nobody is told the region");
        let long = CrawlConfig { max_duration_s: 600, ..policy.clone() };
        assert_eq!(told(&long, true), r#"2-["creative-commons",null,"any-duration"]-20"#);
        assert_eq!(told(&long, false), told(&policy, false), "without a key nobody is told of durations");
        assert_eq!(told(&CrawlConfig { max_duration_s: 60, ..policy.clone() }, true), told(&policy, true));
    }

    /// Answers in turn.
    struct Answers(Mutex<Vec<Answer>>);

    impl SearchProvider for Answers {
        fn search<'a>(
            &'a self,
            _question: Question<'a>,
            _stop: &'a Stop,
        ) -> BoxFuture<'a, Result<Answer, YoutubeError>> {
            let answer = self.0.lock().unwrap().remove(0);
            async { Ok(answer) }.boxed()
        }
    }

    #[tokio::test]
    async fn an_answer_in_part_is_kept_and_asked_for_again_until_it_is_given_up() {
        let (_folder, catalog, searches) = planned(1).await;
        let part = || answer(vec![hit(1, 1)], Some("timed out"));
        let whole = || answer(vec![hit(1, 1), hit(2, 2)], None);
        let answers = vec![part(), whole(), part(), part(), whole()];
        let stage = SearchStage { provider: Arc::new(Answers(Mutex::new(answers))), ..stage() };
        let drive = async || {
            let patience = Patience { backoff_ms: 0, ..Patience::default() };
            let plan = DrivePlan { max_attempts: 2, patience, ..DrivePlan::new("tester".to_owned()) };
            let summary = Driver::new(&catalog, plan, &Stop::default(), &Silent).drive(&stage).await.unwrap();
            let in_part = answers::count_in_part(&catalog, "test").await.unwrap();
            (summary.postponed, summary.done, summary.dead, in_part)
        };
        let ask = async |rev: &str| {
            let mut tx = catalog.begin().await.unwrap();
            jobs::enqueue(&mut tx, NAME, rev, 0, searches[0].id.0).await.unwrap();
            tx.commit().await.unwrap();
        };
        ask("asked").await;
        assert_eq!(drive().await, (1, 1, 0, 0), "the second answer is whole");
        ask("asked anew").await;
        assert_eq!(drive().await, (1, 0, 1, 1), "two parts are no whole answer");
        assert_eq!(jobs::count_due(&catalog, fetch::NAME).await.unwrap(), 2);
        assert_eq!(jobs::retry(&catalog, Reason::Network, Some(NAME)).await.unwrap(), 1);
        assert_eq!(drive().await, (0, 1, 0, 0));
    }

    #[tokio::test]
    async fn what_a_later_search_knows_better_holds_until_the_download_has_begun() {
        let (_folder, catalog, searches) = planned(1).await;
        let found = async |hit: FoundVideo| {
            let mut tx = catalog.begin().await.unwrap();
            let asked = Asked { search: searches[0].clone(), answer: answer(vec![hit], None) };
            stage().commit(&mut tx, asked).await.unwrap();
            tx.commit().await.unwrap();
        };
        let state = async |id: i64| {
            let job = jobs::get(&catalog, fetch::NAME, id).await.unwrap().unwrap();
            (job.state, job.reason)
        };
        let for_kids = || FoundVideo { made_for_kids: Some(true), ..hit(1, 1) };
        found(hit(1, 1)).await;
        found(for_kids()).await;
        let rejected = |reason| (JobState::Rejected, Some(reason));
        assert_eq!(state(1).await, rejected(Reason::MadeForKids));
        found(hit(1, 1)).await;
        assert_eq!(state(1).await, rejected(Reason::MadeForKids), "who knows less overrules nothing");
        found(FoundVideo { live: true, ..hit(2, 1) }).await;
        assert_eq!(state(2).await, rejected(Reason::Live));
        found(hit(2, 1)).await;
        assert_eq!(state(2).await, (JobState::Open, None));
        let claim = jobs::Claim { stage: fetch::NAME, rev: fetch::REV, worker: "w", lease_ms: 60_000 };
        let held = jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        let mut tx = catalog.begin().await.unwrap();
        let verdict = jobs::Verdict { reason: Reason::NotYet, detail: "premieres in 2 hours" };
        jobs::reject(&mut tx, &held, verdict).await.unwrap();
        tx.commit().await.unwrap();
        found(hit(2, 1)).await;
        assert_eq!(state(2).await, (JobState::Open, None));
        jobs::claim(&catalog, claim, &jobs::JobFilter::default()).await.unwrap().unwrap();
        found(FoundVideo { live: true, ..hit(2, 1) }).await;
        assert_eq!(state(2).await.0, JobState::Held);
    }

    #[tokio::test]
    async fn a_verdict_of_a_search_leaves_alone_what_a_list_named_and_what_was_fetched_before() {
        let (_folder, catalog, searches) = planned(1).await;
        let mut tx = catalog.begin().await.unwrap();
        let asked = Asked { search: searches[0].clone(), answer: answer(vec![hit(1, 1), hit(2, 2)], None) };
        stage().commit(&mut tx, asked).await.unwrap();
        let (list, emotion) = ("list".to_owned(), Emotion::Fear);
        let row = listed::Listed { list, line: 1, emotion, span: None, face: None, sha256: None };
        listed::insert(&mut tx, VideoId(1), &row).await.unwrap();
        let file = videos::VideoFile {
            path: "videos/b.mp4".into(),
            size_bytes: 5,
            sha256: "00".repeat(32),
            container: "mp4".to_owned(),
            video_codec: "h264".to_owned(),
            width: 64,
            height: 64,
            duration_ms: 1_000,
            frame_rate: 25.0,
        };
        videos::set_file(&mut tx, VideoId(2), &file).await.unwrap();
        let live = |number| FoundVideo { live: true, ..hit(number, 1) };
        let answer = answer((1..=3).map(live).collect(), None);
        stage().commit(&mut tx, Asked { search: searches[0].clone(), answer }).await.unwrap();
        tx.commit().await.unwrap();
        let mut states = Vec::new();
        for id in 1..=3 {
            states.push(jobs::get(&catalog, fetch::NAME, id).await.unwrap().unwrap().state);
        }
        assert_eq!(states, [JobState::Open, JobState::Open, JobState::Rejected]);
    }

    /// Not one of the suite: `scripts/bench crawl` runs it.
    #[tokio::test]
    #[ignore = "a measurement"]
    async fn bench_storing_a_search_among_a_hundred_thousand_videos() {
        let (_folder, catalog, searches) = planned(4_000).await;
        let mut times_us = Vec::new();
        // Each search finds 27 videos, the 20 short ones among them are wanted: 108,000 in all.
        for (number, search) in (0..).zip(&searches) {
            let began = std::time::Instant::now();
            let mut tx = catalog.begin().await.unwrap();
            stage().commit(&mut tx, asked(search, number * 27)).await.unwrap();
            tx.commit().await.unwrap();
            times_us.push(began.elapsed().as_micros());
        }
        let mut last = times_us.split_off(times_us.len() - 200);
        last.sort_unstable();
        let (median, slow) = (last[100] as f64 / 1e3, last[190] as f64 / 1e3);
        println!("storing a search's results: median {median:.2} ms, 95 % below {slow:.2} ms (target 10 ms)");
        assert!(median < 10.0);
    }
}
