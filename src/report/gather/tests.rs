//! Reports gathered from a catalog that is filled by hand.

use super::*;
use crate::catalog::runs::{FrozenSample, NewRun, Noise, RunState, StoredOpinion};
use crate::catalog::{answers, jobs, samples, searches, tests::empty, videos};
use crate::failure::Reason;
use crate::types::{Emotion, Relabel, Split, StageName};

/// One video with two samples, a rejected download, and a run that relabelled the second sample.
async fn fill(catalog: &Catalog) -> (RunId, Vec<SampleId>) {
    fill_with(catalog, None).await
}

/// The same with labels of the run that were made wrong on purpose.
async fn fill_with(catalog: &Catalog, noise: Option<&Noise>) -> (RunId, Vec<SampleId>) {
    let mut tx = catalog.begin().await.unwrap();
    let video = videos::upsert(&mut tx, &videos::tests::some("a", Some("c"))).await.unwrap().unwrap();
    samples::tests::hit(&mut tx, video, Emotion::Fear, 1).await;
    let ids = samples::tests::fill(&mut tx, video, 2).await;
    let verdict = jobs::Verdict { reason: Reason::TooLong, detail: "<b>300 s</b>" };
    jobs::enqueue_rejected(&mut tx, StageName::Fetch, "1", video.0, verdict).await.unwrap();

    let recipe_hash =
        &recipes::insert(&mut tx, "train", r#"{"scn": {"beta": 0.7}, "seed": 7}"#).await.unwrap();
    let classes = ["anger".to_owned(), "fear".to_owned()];
    let (name, method, folder, device) = ("first", "scn", "runs/1", "CPU");
    let run = NewRun { name, method, recipe_hash, seed: 7, folder, classes: &classes, device, noise };
    let frozen: Vec<_> = ids
        .iter()
        .map(|sample| FrozenSample {
            sample: *sample,
            split: Split::Train,
            label: 0,
            clean_label: None,
            source: None,
        })
        .collect();
    let run = runs::create(&mut tx, &run, &frozen).await.unwrap();
    let relabel = Relabel { sample: 1, epoch: 2, from: 0, to: 1, p_max: 0.9, p_given: 0.1, importance: 0.3 };
    relabels::insert(&mut tx, run, &[relabel]).await.unwrap();
    let opinion = StoredOpinion { importance: Some(0.25), predicted: 1, p_predicted: 0.9, p_given: 0.1 };
    runs::set_opinions(&mut tx, run, &[(0, opinion)]).await.unwrap();
    runs::put_epoch(&mut tx, run, 1, r#"{"loss": 1.5, "validation": {"accuracy": 0.5}}"#).await.unwrap();
    runs::end(&mut tx, run, RunState::Done, None).await.unwrap();
    tx.commit().await.unwrap();
    (run, ids)
}

#[tokio::test]
async fn a_run_is_gathered_with_its_catalog_and_its_pictures() {
    let (_folder, catalog) = empty().await;
    let (run, ids) = fill(&catalog).await;
    let gathering = Gathering { pictures: 3, truth: HashMap::from([(ids[1], "fear".to_owned())]) };
    let report = gather_run(&catalog, run, &gathering).await.unwrap();

    assert_eq!(report.relabelled_total, Some(1));
    assert_eq!(
        (report.relabelled[0].to.as_str(), report.relabelled[0].jpeg.as_slice()),
        ("fear", &[1, 1, 1][..])
    );
    assert_eq!((report.least_important[0].sample_id, report.least_important.len()), (ids[0].0, 1));
    assert_eq!(report.truth.as_ref().unwrap().fixed, 1);
    assert_eq!(report.epochs[0].validation_accuracy, Some(0.5));
    let recipe = &report.run.as_ref().unwrap().recipe;
    assert!(recipe.contains(&("scn.beta".to_owned(), "0.7".to_owned())));
    let of_files = hex(&Sha256::digest(r#"{"scn": {"beta": 0.7}, "seed": 7}"#));
    assert!(recipe.contains(&("recipe hash".to_owned(), of_files)), "{recipe:?}");
    assert_eq!(recipe.iter().filter(|(name, _)| name == "seed").count(), 1);
    assert_eq!(
        (report.failures[0].reason.as_str(), report.failures[0].outcome.as_str()),
        ("too-long", "rejected")
    );
    assert!(report.compared.is_empty());
    assert_eq!(report.funnel.as_ref().unwrap().last("samples").unwrap().kept, 2);
    let written = [super::super::html(&report), super::super::markdown(&report), super::super::json(&report)];
    assert!(written.iter().all(|text| !text.contains("300 s")), "what a job says may name its video");
    let (_, failures) = gather_standing(&catalog).await.unwrap();
    assert_eq!(failures[0].group, report.failures[0]);
    assert_eq!(failures[0].example.as_deref(), Some("<b>300 s</b>"));
}

#[tokio::test]
async fn a_run_whose_labels_are_in_force_is_shown_as_adopted() {
    let (_folder, catalog) = empty().await;
    let (run, _) = fill(&catalog).await;
    for (adopted, state) in [(true, "adopted"), (false, "done")] {
        let mut tx = catalog.begin().await.unwrap();
        runs::set_adopted(&mut tx, run, adopted).await.unwrap();
        tx.commit().await.unwrap();
        let report = gather_run(&catalog, run, &Gathering::default()).await.unwrap();
        let listed = gather_index(&catalog, |_| None).await.unwrap();
        assert_eq!((report.run.unwrap().state.as_str(), listed[0].run.state.as_str()), (state, state));
    }
}

#[tokio::test]
async fn every_page_says_that_labels_of_a_run_were_made_wrong_on_purpose() {
    let (_folder, catalog) = empty().await;
    let noise = Noise { share: Some(0.4), kind: Some("pair".to_owned()), list: None };
    let (run, _) = fill_with(&catalog, Some(&noise)).await;
    let words = "40.0 % of each class, pair";
    let of_run = gather_run(&catalog, run, &Gathering::default()).await.unwrap();
    let of_catalog = gather_catalog(&catalog, "Catalog").await.unwrap();
    for report in [&of_run, &of_catalog] {
        let written =
            [super::super::html(report), super::super::markdown(report), super::super::json(report)];
        assert!(written.iter().all(|text| text.contains(words)), "{}", written[1]);
    }
    let (_folder, plain) = empty().await;
    let (run, _) = fill(&plain).await;
    let report = gather_run(&plain, run, &Gathering::default()).await.unwrap();
    assert_eq!(report.run.unwrap().noise, None);
}

/// Stores searches, and an answer to the first of them.
async fn plan(catalog: &Catalog, provider: &str, texts: &[&str]) -> Vec<i64> {
    let search = |text: &&str| searches::NewSearch {
        emotion: Emotion::Fear,
        text: (*text).to_owned(),
        word: "fear".to_owned(),
        country: None,
        age_word: None,
        language: None,
    };
    let planned: Vec<_> = texts.iter().map(search).collect();
    let mut tx = catalog.begin().await.unwrap();
    searches::plan(&mut tx, provider, provider, &planned).await.unwrap();
    tx.commit().await.unwrap();
    let ids: Vec<_> = searches::list(catalog, provider).await.unwrap().iter().map(|it| it.id).collect();
    let mut tx = catalog.begin().await.unwrap();
    let answer = answers::NewAnswer {
        search: ids[0],
        asked_of: provider,
        tool_version: "1",
        page: 0,
        hits: 1,
        raw: b"[]",
    };
    answers::insert(&mut tx, &answer).await.unwrap();
    tx.commit().await.unwrap();
    ids.iter().map(|id| id.0).collect()
}

#[tokio::test]
async fn a_folder_has_answered_its_search_and_a_search_with_more_pages_to_come_has_not() {
    let (_folder, catalog) = empty().await;
    let searches_of = async |name: &str| {
        let report = gather_catalog(&catalog, "Catalog").await.unwrap();
        report.funnel.unwrap().step("searches", name).unwrap().clone()
    };
    plan(&catalog, "local", &["/films"]).await;
    assert_eq!((searches_of("planned").await.kept, searches_of("answered").await.kept), (1, 1));
    let asked = plan(&catalog, "youtube", &["scared", "afraid"]).await;
    let mut tx = catalog.begin().await.unwrap();
    jobs::enqueue_all(&mut tx, StageName::Search, "1", 0, &asked).await.unwrap();
    tx.commit().await.unwrap();
    let answered = searches_of("answered").await;
    assert_eq!((searches_of("planned").await.kept, answered.kept, answered.waiting), (3, 1, Some(2)));
}

#[tokio::test]
async fn a_run_that_is_not_there_is_named() {
    let (_folder, catalog) = empty().await;
    let error = gather_run(&catalog, RunId(9), &Gathering::default()).await.unwrap_err();
    assert!(error.to_string().contains("run 9"), "{error}");
}

#[tokio::test]
async fn an_empty_catalog_has_a_report_and_an_index() {
    let (_folder, catalog) = empty().await;
    let report = gather_catalog(&catalog, "Catalog").await.unwrap();
    assert!(super::super::html(&report).contains("Not known"));
    assert!(gather_index(&catalog, |_| None).await.unwrap().is_empty());
    fill(&catalog).await;
    let entries = gather_index(&catalog, |name| Some(format!("{name}.html"))).await.unwrap();
    assert_eq!((entries[0].page.as_deref(), entries[0].run.relabelled), (Some("first.html"), Some(1)));
}
