//! A complete example report, for the tests of every renderer.

use std::collections::BTreeMap;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use super::*;
use crate::types::{Emotion, StageName};

/// A report in which every part is known. The numbers are made up but consistent.
pub(super) fn report() -> RunReport {
    RunReport {
        title: "Demo world, SCN".to_owned(),
        made_at_ms: 1_795_472_700_000,
        run: Some(run()),
        funnel: Some(funnel()),
        class_counts: class_counts(),
        epochs: (1..=8).map(epoch).collect(),
        test: Some(TestResult {
            samples: 1_450,
            epochs: 5,
            accuracy: 0.87,
            mean_class_accuracy: Some(0.851),
        }),
        confusion: Some(confusion()),
        importance: Some(Histogram { bins: vec![40, 90, 150, 220, 300, 420, 800, 1_900, 4_200, 4_151] }),
        least_important: (0..12).map(least_important).collect(),
        relabelled_total: Some(1_312),
        relabelled: (0..18).map(relabelled).collect(),
        truth: Some(truth()),
        compared: vec![summary("scn-1", 0.842), summary("baseline-1", 0.744)],
        failures: failures(),
    }
}

/// A round that was paused by the site.
pub(super) fn round() -> RoundReport {
    let step = |command: &str, outcome: &str, why: &str, took_ms| RoundStep {
        command: command.to_owned(),
        outcome: outcome.to_owned(),
        why: why.to_owned(),
        took_ms,
    };
    RoundReport {
        round: 12,
        started_at_ms: 1_795_472_000_000,
        ended_at_ms: 1_795_472_125_000,
        exit: 5,
        outcome: "paused: fetch (rate-limited)".to_owned(),
        before: Some("The round before was killed; its work was taken up again.".to_owned()),
        steps: vec![
            step("crawl", "done", "3 searches and 40 downloads were due", Some(65_000)),
            step("clips", "done", "9 videos waited", Some(58_000)),
            step("train", "skipped", "38 new samples of 1,000 (train.when.new_samples)", None),
        ],
        work: vec![
            StageWork { stage: StageName::Fetch, done: 9, rejected: 2, given_up: 0, put_off: 1 },
            StageWork { stage: StageName::Cut, done: 8, rejected: 1, given_up: 0, put_off: 0 },
        ],
        failures: failures(),
        totals: Totals { searches: 320, videos: 871, files: 821, clips: 1_400, samples: 12_309 },
        totals_before: Some(Totals { searches: 320, videos: 871, files: 812, clips: 1_385, samples: 12_271 }),
        paused: vec![PausedStage {
            stage: StageName::Fetch,
            reason: "rate-limited".to_owned(),
            resume_at_ms: Some(1_795_475_600_000),
        }],
        free_bytes: 812_000_000_000,
        run: Some(summary("scn-3", 0.842)),
        next: vec![step("crawl", "due", "31 downloads are due", None)],
        pictures: (0..8)
            .map(|place| Picture { sample_id: place, emotion: "fear".to_owned(), jpeg: picture(place) })
            .collect(),
    }
}

fn run() -> RunFacts {
    let recipe = [("architecture", "resnet18"), ("beta", "0.7"), ("margin 1", "0.15"), ("margin 2", "0.2")];
    RunFacts {
        name: "scn-1".to_owned(),
        method: "scn".to_owned(),
        state: "done".to_owned(),
        device: Some("CPU, 2 threads".to_owned()),
        noise: None,
        started_at_ms: Some(1_795_472_000_000),
        finished_at_ms: Some(1_795_472_700_000),
        recipe: recipe.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    }
}

fn step(unit: &str, name: &str, kept: u64, lost: &[(&str, u64)]) -> FunnelStep {
    let lost = lost.iter().map(|(reason, count)| ReasonCount {
        reason: (*reason).to_owned(),
        count: *count,
        emotions: if ["searches", "videos"].contains(&unit) { shared_out(*count) } else { BTreeMap::new() },
    });
    FunnelStep { unit: unit.to_owned(), name: name.to_owned(), kept, waiting: None, lost: lost.collect() }
}

/// Splits a count among the emotions: most to the first, nothing to the last when there is too little.
fn shared_out(mut count: u64) -> BTreeMap<String, u64> {
    let mut shares = BTreeMap::new();
    for emotion in Emotion::ALL {
        let share = count.div_ceil(3);
        count -= share;
        if share > 0 {
            shares.insert(emotion.to_string(), share);
        }
    }
    shares
}

fn funnel() -> Funnel {
    let mut downloaded =
        step("videos", "downloaded", 812, &[("gone", 31), ("private", 12), ("undecodable", 5)]);
    downloaded.waiting = Some(90);
    let steps = vec![
        step("searches", "planned", 320, &[]),
        step("searches", "answered", 318, &[("rate-limited", 2)]),
        step("videos", "found", 1_240, &[]),
        step("videos", "allowed", 950, &[("too-long", 240), ("licence", 38), ("live", 12)]),
        downloaded,
        step("videos", "with a clip", 640, &[("no-face", 110), ("face-too-brief", 62)]),
        step("clips", "cut", 1_730, &[]),
        step("samples", "taken", 13_020, &[]),
        step("samples", "in use", 12_271, &[("blurred", 500), ("turned", 249)]),
    ];
    let emotion = |emotion: Emotion| {
        let place = emotion.index() as u64;
        EmotionCounts {
            emotion: emotion.to_string(),
            searches: Some(40),
            videos: Some(180 - 9 * place),
            files: Some(120 - 5 * place),
            clips: Some(260 - 12 * place),
            samples: Some(1_950 - 118 * place),
        }
    };
    let time = |stage, done, worked_ms, job_ms| StageTime { stage, done, worked_ms, job_ms };
    let times =
        vec![time(StageName::Fetch, 2_310, 41_580_000, Some(18_000)), time(StageName::Cut, 1, 0, None)];
    Funnel { steps, emotions: Emotion::ALL.map(emotion).to_vec(), times }
}

fn class_counts() -> Vec<ClassCount> {
    let counts = [1_800, 2_400, 1_500, 1_700, 1_600, 1_100, 1_171, 1_000];
    let after = [2_050, 2_510, 1_480, 1_620, 1_560, 1_020, 1_131, 900];
    let class = |(emotion, (before, after)): (Emotion, (u64, u64))| ClassCount {
        class: emotion.to_string(),
        before,
        after: Some(after),
    };
    Emotion::ALL.into_iter().zip(counts.into_iter().zip(after)).map(class).collect()
}

fn epoch(epoch: u32) -> EpochFacts {
    let rise = 1.0 - (-f64::from(epoch) / 2.5).exp();
    EpochFacts {
        epoch,
        train_loss: Some(2.1 - 1.6 * rise),
        train_accuracy: Some(0.12 + 0.8 * rise),
        validation_accuracy: Some(0.14 + 0.74 * rise),
        mean_class_accuracy: Some(0.13 + 0.71 * rise),
        importance_high: Some(0.55 + 0.4 * rise),
        importance_low: Some(0.5 + 0.12 * rise),
        rank_loss_zero_share: Some(0.1 + 0.75 * rise),
        relabels: Some(if epoch < 4 { 0 } else { 600 / u64::from(epoch - 3) }),
    }
}

fn confusion() -> Confusion {
    let cell =
        |row: u64, column: u64| if row == column { 150 + 5 * row } else { (row * 7 + column * 5) % 13 };
    Confusion {
        rows_are: "validation labels".to_owned(),
        classes: Emotion::ALL.map(|emotion| emotion.to_string()).to_vec(),
        counts: (0..8).map(|row| (0..8).map(|column| cell(row, column)).collect()).collect(),
    }
}

fn emotion(place: i64) -> String {
    Emotion::ALL[usize::try_from(place.rem_euclid(8)).unwrap()].to_string()
}

fn least_important(place: i64) -> LeastImportant {
    LeastImportant {
        sample_id: 100 + place,
        jpeg: picture(place),
        label: emotion(place),
        predicted: Some(emotion(place + 3)),
        importance: 0.02 + 0.01 * place as f64,
        true_label: Some(emotion(if place % 4 == 0 { place } else { place + 3 })),
    }
}

fn relabelled(place: i64) -> RelabelledSample {
    RelabelledSample {
        sample_id: 200 + place,
        jpeg: picture(place + 5),
        from: emotion(place),
        to: emotion(place + 1),
        p_max: 0.97 - 0.01 * place as f64,
        p_given: 0.02,
        importance: Some(0.31),
        epoch: 4 + u32::try_from(place % 4).unwrap(),
        true_label: Some(emotion(if place % 5 == 0 { place } else { place + 1 })),
    }
}

/// A round face on a coloured background.
fn picture(place: i64) -> Vec<u8> {
    let shade = u8::try_from(place.rem_euclid(16) * 8).unwrap();
    let face = RgbImage::from_fn(96, 96, |x, y| {
        let (across, down) = (f64::from(x) - 48.0, f64::from(y) - 50.0);
        let eye = (across.abs() - 13.0).hypot(down + 10.0) < 4.0;
        let mouth = (across.hypot(down - 4.0) - 20.0).abs() < 2.0 && down > 10.0;
        match across.hypot(down * 0.85) {
            _ if eye || mouth => Rgb([40, 30, 30]),
            radius if radius < 36.0 => Rgb([232 - shade, 190 - shade, 160 - shade]),
            _ => Rgb([90 + shade, 130, 190 - shade]),
        }
    });
    let mut jpeg = Cursor::new(Vec::new());
    face.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    jpeg.into_inner()
}

fn truth() -> Truth {
    let method = |method: &str, accuracy: f64, noise: f64| MethodResult {
        method: method.to_owned(),
        accuracy: Some(accuracy),
        mean_class_accuracy: Some(accuracy - 0.02),
        noise_after: Some(noise),
    };
    Truth {
        labels: 12_271,
        wrong_before: 3_068,
        fixed: 1_190,
        broken: 85,
        methods: vec![method("baseline", 0.781, 0.25), method("scn", 0.87, 0.16)],
    }
}

fn summary(name: &str, accuracy: f64) -> RunSummary {
    RunSummary {
        name: name.to_owned(),
        method: name.trim_end_matches("-1").to_owned(),
        noise: None,
        state: "done".to_owned(),
        started_at_ms: Some(1_795_472_000_000),
        epochs: 8,
        last_five_accuracy: Some(accuracy),
        last_epochs: 5,
        best_accuracy: Some(accuracy + 0.01),
        mean_class_accuracy: Some(accuracy - 0.02),
        measured_on: Some("840 test samples".to_owned()),
        relabelled: None,
    }
}

fn failures() -> Vec<FailureGroup> {
    let group = |stage, reason: &str, outcome: &str, count| FailureGroup {
        stage,
        reason: reason.to_owned(),
        outcome: outcome.to_owned(),
        count,
    };
    vec![
        group(StageName::Fetch, "gone", "rejected", 31),
        group(StageName::Fetch, "network", "given up", 3),
        group(StageName::Scan, "undecodable", "rejected", 5),
    ]
}
