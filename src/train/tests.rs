//! Whole runs on drawn shapes: they learn, are reproducible, resume, and fail with clear errors.

use std::cell::OnceCell;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::{env, thread};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::data::{Identity, NoiseKind, Pictures, TrainingSet, add_noise};
use super::drawn::shapes;
use super::metrics::EpochMetrics;
use super::predict::Predictor;
use super::recipe::{Arch, Method, Recipe, RelabelStart};
use super::schedule::Schedule;
use super::{RunPlace, Step, TrainError, TrainEvent, Trained, train};
use crate::clock::Stop;
use crate::types::Split;

fn small(method: Method, epochs: u32) -> Recipe {
    let mut recipe = Recipe::new(method);
    recipe.arch = Arch::Tiny;
    recipe.optimizer.lr = 3e-3;
    recipe.epochs = epochs;
    recipe.batch_size = 16;
    recipe.image_size = 32;
    recipe.seed = 3;
    recipe.augment.erase = 0.0;
    recipe
}

/// Trains in `folder`, and asks to stop after the first step for which `stop_at(epoch, step)` is true.
fn run(
    recipe: &Recipe,
    set: &TrainingSet,
    folder: &Path,
    stop_at: impl Fn(u32, usize) -> bool,
) -> (Result<Trained, TrainError>, Vec<TrainEvent>) {
    let place = RunPlace { folder: folder.to_owned(), device: "cpu".to_owned() };
    let (sender, receiver) = sync_channel(0);
    let stop = Stop::default();
    thread::scope(|scope| {
        let trainer = scope.spawn(|| {
            let sender = sender;
            train(recipe, set, &place, &sender, &stop)
        });
        let mut events = Vec::new();
        for event in receiver {
            if let TrainEvent::Step(Step { epoch, step, .. }) = event
                && stop_at(epoch, step)
            {
                stop.ask();
            }
            events.push(event);
        }
        (trainer.join().unwrap(), events)
    })
}

fn to_the_end(recipe: &Recipe, set: &TrainingSet, folder: &Path) -> Trained {
    run(recipe, set, folder, |_, _| false).0.unwrap()
}

fn params(folder: &Path) -> Vec<u8> {
    let file = std::fs::read(folder.join("last.safetensors")).unwrap();
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    file[8 + header..].to_vec()
}

#[test]
fn a_baseline_learns_shapes_and_its_checkpoint_predicts_them() {
    let folder = tempfile::tempdir().unwrap();
    let set = shapes(240, 1);
    let trained = to_the_end(&small(Method::Baseline, 6), &set, folder.path());
    assert_eq!(trained.measured_on, Some(Split::Test));
    assert!(trained.last5_accuracy.unwrap() > 0.6, "{:?}", trained.last5_accuracy);
    assert!(trained.best_accuracy.unwrap() > 0.8, "{:?}", trained.best_accuracy);
    assert_eq!(trained.opinions.len(), 240);
    // SCN's public code keeps the epoch that is best on the test. Here validation chooses, and the test is measured in
    // the last five epochs only.
    let held_out = |epoch: &EpochMetrics| epoch.validation.as_ref().unwrap().accuracy;
    let first_best =
        trained.epochs.iter().reduce(|best, next| if held_out(next) > held_out(best) { next } else { best });
    assert_eq!(trained.best_epoch, first_best.map(|epoch| epoch.epoch));
    let tested: Vec<bool> = trained.epochs.iter().map(|epoch| epoch.test.is_some()).collect();
    assert_eq!(tested, [false, true, true, true, true, true]);
    assert!(trained.opinions.iter().all(|opinion| opinion.importance.is_none()));

    let predictor = Predictor::load(&folder.path().join("last.safetensors"), "cpu").unwrap();
    let picture = image::load_from_memory(&set.pictures.encoded(4).unwrap()).unwrap().into_rgb8();
    let predicted = &predictor.predict(&[picture]).unwrap()[0];
    assert_eq!(predicted.class(), trained.opinions[4].predicted);
    assert!((predicted.probabilities[predicted.class()] - trained.opinions[4].p_predicted).abs() < 1e-4);
}

#[test]
fn scn_relabels_training_samples_only_and_reports_what_it_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let mut set = shapes(240, 1);
    add_noise(&mut set, 0.2, NoiseKind::Symmetric, 5);
    let mut recipe = small(Method::Scn, 6);
    recipe.scn.relabel_start = RelabelStart::Epoch(4);
    let trained = to_the_end(&recipe, &set, folder.path());
    let labels = trained.labels.unwrap();
    assert!(labels.fixed.unwrap() > 0.3 && labels.left < labels.before, "{labels:?}");
    assert!(trained.relabels.iter().all(|relabel| set.splits[relabel.sample] == Split::Train));
    assert!(trained.relabels.iter().all(|relabel| relabel.epoch >= 4), "not before its time");
    // The reported accuracy is against the given labels, of which a fifth is wrong.
    let last = trained.epochs.last().unwrap();
    assert!(last.train_accuracy <= 0.9, "{last:?}");
    assert_ne!(last.train_accuracy, last.train_accuracy_in_force, "the two are distinguished");
    assert_eq!(last.importance_histogram.iter().sum::<u64>(), 144);
    assert!(last.importance_high > last.importance_low, "{last:?}");
    assert_eq!(last.margin_1, Some(recipe.scn.margin_1), "even if it is not learnt");
}

/// A resumed run of SCN's public code has lost its relabels. Ours resumes bit for bit, even in the middle of an epoch.
#[test]
fn a_run_that_is_stopped_twice_equals_one_that_is_not() {
    let mut set = shapes(120, 2);
    add_noise(&mut set, 0.2, NoiseKind::Symmetric, 5);
    let mut recipe = small(Method::Scn, 4);
    recipe.scn.relabel_start = RelabelStart::Epoch(2);
    recipe.scn.margin_1_learnt = true;
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = to_the_end(&recipe, &set, whole.path());
    assert!(!expected.relabels.is_empty());

    let (stopped, _) = run(&recipe, &set, cut.path(), |epoch, step| (epoch, step) == (1, 2));
    assert!(matches!(stopped, Err(TrainError::Stopped { epoch: 1, .. })));
    let (stopped, _) = run(&recipe, &set, cut.path(), |epoch, step| (epoch, step) == (3, 3));
    assert!(matches!(stopped, Err(TrainError::Stopped { epoch: 3, .. })));
    let found = to_the_end(&recipe, &set, cut.path());
    assert_eq!(params(whole.path()), params(cut.path()));
    assert_eq!(expected.relabels, found.relabels);
    assert_eq!(expected.opinions, found.opinions);
}

#[test]
fn a_stopped_cure_equals_one_that_is_not_and_decides_at_the_end() {
    let mut set = shapes(120, 2);
    add_noise(&mut set, 0.2, NoiseKind::Symmetric, 5);
    let recipe = small(Method::Cure, 3);
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = to_the_end(&recipe, &set, whole.path());
    let _ = run(&recipe, &set, cut.path(), |epoch, step| (epoch, step) == (2, 2));
    let found = to_the_end(&recipe, &set, cut.path());
    assert_eq!(params(whole.path()), params(cut.path()));
    assert_eq!(expected.opinions, found.opinions);
    let judged = expected.opinions.iter().filter(|opinion| opinion.importance.is_some());
    assert_eq!(judged.map(|opinion| opinion.sample).collect::<Vec<_>>(), set.of_split(Split::Train));
}

#[test]
fn a_cure_leaves_a_class_of_one_source_alone() {
    let mut set = shapes(120, 2);
    let source = |sample: usize| if set.labels[sample] == 2 { 1_000 } else { sample as u64 };
    set.sources = Some((0..set.len()).map(source).collect());
    let mut recipe = small(Method::Cure, 2);
    recipe.cure.risk = 0.5;
    let folder = tempfile::tempdir().unwrap();
    let trained = to_the_end(&recipe, &set, folder.path());
    assert!(trained.relabels.iter().all(|relabel| relabel.from != 2), "{:?}", trained.relabels);
    let judged = |sample: usize| trained.opinions[sample].importance.is_some();
    assert!(set.of_split(Split::Train).into_iter().all(|sample| judged(sample) == (set.labels[sample] != 2)));
}

/// The last epoch is sent once, with the labels that `cure` decides, even if a run was killed before it could send it.
#[test]
fn the_last_epoch_of_a_cure_is_sent_with_the_decided_labels() {
    let mut set = shapes(120, 2);
    add_noise(&mut set, 0.2, NoiseKind::Symmetric, 5);
    let mut recipe = small(Method::Cure, 2);
    recipe.cure.risk = 0.5;
    let folder = tempfile::tempdir().unwrap();
    for known in [0, 1] {
        let (trained, events) = run(&recipe, &set, folder.path(), |_, _| false);
        let trained = trained.unwrap();
        let sent: Vec<&EpochMetrics> = events
            .iter()
            .flat_map(|event| match event {
                TrainEvent::Began { history, .. } => history.iter().collect(),
                TrainEvent::Epoch(metrics) => vec![&**metrics],
                _ => Vec::new(),
            })
            .collect();
        assert!(matches!(&events[0], TrainEvent::Began { history, .. } if history.len() == known));
        assert_eq!(sent.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((sent[1].relabelled, sent[1].labels), (trained.relabels.len(), trained.labels));
        assert_eq!(trained.epochs.last(), sent.last().copied());
    }
}

#[test]
fn another_recipe_or_other_data_cannot_resume_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let set = shapes(60, 2);
    to_the_end(&small(Method::Baseline, 1), &set, folder.path());
    let (other, _) = run(&small(Method::Scn, 1), &set, folder.path(), |_, _| false);
    assert!(other.unwrap_err().to_string().ends_with("belongs to another recipe"));
    let (other, _) = run(&small(Method::Baseline, 1), &shapes(65, 2), folder.path(), |_, _| false);
    assert!(other.unwrap_err().to_string().ends_with("belongs to other data"));
}

/// A recipe whose second epoch sends the params to infinity.
fn exploding() -> Recipe {
    let mut recipe = small(Method::Baseline, 3);
    recipe.schedule = Schedule::Step { at: vec![1], factor: 1e30 };
    recipe.optimizer.kind = super::recipe::OptimizerKind::Sgd;
    recipe
}

#[test]
fn a_loss_that_explodes_stops_the_run_and_the_epoch_before_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let (result, _) = run(&exploding(), &shapes(120, 2), folder.path(), |_, _| false);
    let error = result.unwrap_err();
    assert!(matches!(error, TrainError::Diverged { epoch: 2, .. }), "{error}");
    let (best, hint) = (folder.path().join("best.safetensors"), error.failure().hint.unwrap());
    assert!(hint.contains("lower --lr") && hint.contains(&best.display().to_string()), "{hint}");

    // The hint works, and the checkpoint is of the epoch before.
    let mut gentle = small(Method::Baseline, 1);
    gentle.init = Some(best);
    to_the_end(&gentle, &shapes(120, 2), tempfile::tempdir().unwrap().path());
    let (_, events) = run(&exploding(), &shapes(120, 2), folder.path(), |_, _| false);
    assert!(matches!(&events[0], TrainEvent::Began { history, .. } if history.len() == 1));
}

/// The loss of a step is that before its update, so in the last step of an epoch the params must be checked themselves.
#[test]
fn params_that_explode_in_the_last_step_of_an_epoch_are_neither_saved_nor_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = small(Method::Baseline, 1);
    recipe.batch_size = 256;
    recipe.optimizer.kind = super::recipe::OptimizerKind::Sgd;
    // Finite params may still give an output that is not.
    for (lr, expected) in [(1e30, "answers"), (1e39, "params")] {
        recipe.optimizer.lr = lr;
        let (result, _) = run(&recipe, &shapes(120, 2), folder.path(), |_, _| false);
        let error = result.unwrap_err();
        assert!(
            matches!(error, TrainError::Diverged { epoch: 1, step: 1, what, .. } if what == expected),
            "{error}"
        );
    }
    assert!(
        !folder.path().join("last.safetensors").exists() && !folder.path().join("best.safetensors").exists()
    );
}

#[test]
fn a_truncated_checkpoint_is_refused_with_a_remedy_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let (recipe, set) = (small(Method::Baseline, 1), shapes(60, 2));
    to_the_end(&recipe, &set, folder.path());
    let path = folder.path().join("last.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let failure = run(&recipe, &set, folder.path(), |_, _| false).0.unwrap_err().failure();
    assert!(failure.detail.contains("cannot be read as a checkpoint"), "{failure}");
    assert!(failure.hint.unwrap().starts_with(&format!("move {} away", path.display())));
    std::fs::rename(&path, folder.path().join("broken")).unwrap();
    to_the_end(&recipe, &set, folder.path());
}

/// A set with some truncated pictures.
fn torn(mut set: TrainingSet, which: Vec<usize>) -> TrainingSet {
    struct Torn(Arc<dyn Pictures>, Vec<usize>);
    impl Pictures for Torn {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
            let mut bytes = self.0.encoded(index)?;
            if self.1.contains(&index) {
                bytes.truncate(40);
            }
            Ok(bytes)
        }
        fn name(&self, index: usize) -> String {
            format!("torn/{index}.png")
        }
        fn identity(&self) -> Identity {
            self.0.identity()
        }
    }
    set.pictures = Arc::new(Torn(Arc::clone(&set.pictures), which));
    set
}

/// Ten pictures of sixty may be unreadable; an eleventh is too many.
#[test]
fn unreadable_pictures_are_counted_and_named_up_to_a_limit() {
    let torn = |count: usize| {
        let folder = tempfile::tempdir().unwrap();
        let set = torn(shapes(60, 2), (0..count).collect());
        run(&small(Method::Baseline, 1), &set, folder.path(), |_, _| false).0
    };
    let trained = torn(10).unwrap();
    assert_eq!((trained.unreadable.len(), trained.opinions.len()), (10, 50));
    assert!(trained.unreadable[0].starts_with("torn/0.png: "), "{:?}", trained.unreadable);
    assert_eq!(trained.measures().measured_on.unwrap().samples, 10, "two of the twelve cannot be read");
    let error = torn(11).unwrap_err();
    assert!(matches!(error, TrainError::TooManyUnreadable { count: 11, of: 60, limit: 10, .. }), "{error}");
}

#[test]
fn an_unreadable_test_part_is_refused_before_the_first_step() {
    let set = shapes(60, 2);
    let which = set.of_split(Split::Test)[..7].to_vec();
    let folder = tempfile::tempdir().unwrap();
    let set = torn(set, which);
    let (ended, events) = run(&small(Method::Baseline, 1), &set, folder.path(), |_, _| false);
    let error = ended.unwrap_err().to_string();
    assert!(error.starts_with("7 of 12 test pictures cannot be read, more than the 6 allowed"), "{error}");
    assert!(!events.iter().any(|event| matches!(event, TrainEvent::Step(_))));
}

/// A set that counts how often each of its pictures is read.
fn counted(mut set: TrainingSet) -> (TrainingSet, Arc<[AtomicUsize]>) {
    struct Counted(Arc<dyn Pictures>, Arc<[AtomicUsize]>);
    impl Pictures for Counted {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn encoded(&self, index: usize) -> std::io::Result<Vec<u8>> {
            self.1[index].fetch_add(1, Ordering::Relaxed);
            self.0.encoded(index)
        }
        fn name(&self, index: usize) -> String {
            self.0.name(index)
        }
        fn identity(&self) -> Identity {
            self.0.identity()
        }
    }
    let reads: Arc<[AtomicUsize]> = (0..set.len()).map(|_| AtomicUsize::new(0)).collect();
    set.pictures = Arc::new(Counted(Arc::clone(&set.pictures), Arc::clone(&reads)));
    (set, reads)
}

#[test]
fn cached_pictures_are_read_once_and_a_resumed_run_does_not_check_held_out_pictures_again() {
    let (recipe, folder) = (small(Method::Baseline, 2), tempfile::tempdir().unwrap());
    let (set, reads) = counted(shapes(120, 2));
    to_the_end(&recipe, &set, tempfile::tempdir().unwrap().path());
    let read = |sample: usize| reads[sample].swap(0, Ordering::Relaxed);
    assert!((0..set.len()).all(|sample| read(sample) == 1), "each of them in a whole run");

    let _ = run(&recipe, &set, folder.path(), |_, step| step == 1);
    let held_out = [set.of_split(Split::Validation), set.of_split(Split::Test)].concat();
    assert!(held_out.iter().all(|&sample| read(sample) == 1), "before the first step");
    let _ = run(&recipe, &set, folder.path(), |_, _| true);
    assert!(held_out.iter().all(|&sample| read(sample) == 0), "before the first step of a resumed run");
}

#[test]
#[ignore = "measures; prints images a second"]
fn how_fast_an_epoch_is() {
    let set = shapes(640, 1);
    for image_size in [48, 64, 112] {
        let mut recipe = small(Method::Scn, 2);
        recipe.arch = Arch::Resnet18;
        recipe.batch_size = 64;
        recipe.image_size = image_size;
        let trained = to_the_end(&recipe, &set, tempfile::tempdir().unwrap().path());
        let last = trained.epochs.last().unwrap();
        println!("{image_size} px: {:.0} images/s, waiting {:.3}", last.images_per_s, last.data_wait_share);
    }
}

/// A running mean of the params, and steps in parts, resume bit for bit too; the mean is what predicts.
#[test]
fn averaged_params_survive_a_stop_and_are_the_ones_that_predict() {
    let set = shapes(120, 2);
    let mut recipe = small(Method::Scn, 2);
    (recipe.average, recipe.accumulate) = (0.9, 3);
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = to_the_end(&recipe, &set, whole.path());
    let (stopped, _) = run(&recipe, &set, cut.path(), |epoch, step| (epoch, step) == (2, 2));
    assert!(matches!(stopped, Err(TrainError::Stopped { epoch: 2, .. })));
    let found = to_the_end(&recipe, &set, cut.path());
    assert_eq!(params(whole.path()), params(cut.path()));
    assert_eq!(expected.opinions, found.opinions);

    let predictor = Predictor::load(&whole.path().join("last.safetensors"), "cpu").unwrap();
    let picture = image::load_from_memory(&set.pictures.encoded(4).unwrap()).unwrap().into_rgb8();
    let predicted = &predictor.predict(&[picture]).unwrap()[0];
    assert!((predicted.probabilities[predicted.class()] - expected.opinions[4].p_predicted).abs() < 1e-4);
}

/// Dropout draws from libtorch's generator, whose state no checkpoint holds.
#[test]
fn a_net_with_dropout_resumes_bit_for_bit() {
    let set = shapes(40, 2);
    let mut recipe = small(Method::Baseline, 1);
    (recipe.arch, recipe.batch_size) = (Arch::MobilenetV2, 6);
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    to_the_end(&recipe, &set, whole.path());
    let (stopped, _) = run(&recipe, &set, cut.path(), |_, step| step == 2);
    assert!(matches!(stopped, Err(TrainError::Stopped { .. })));
    to_the_end(&recipe, &set, cut.path());
    assert_eq!(params(whole.path()), params(cut.path()));
}

#[test]
fn a_run_without_progress_ends_early_and_its_last_epochs_measure_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe = small(Method::Baseline, 50);
    recipe.optimizer.lr = 1e-12;
    recipe.early_stop = Some(2);
    let trained = to_the_end(&recipe, &shapes(60, 2), folder.path());
    assert!(trained.epochs.len() < 10, "{} epochs", trained.epochs.len());
    let since_best = trained.epochs.len() as u32 - trained.best_epoch.unwrap();
    assert_eq!(since_best, 2);
    assert!(
        trained.epochs.iter().all(|epoch| epoch.test.is_some()),
        "the mean would be over fewer than five epochs"
    );
}

/// Limits the size of the files that this process writes: it fails like a full disk, and needs no privileges.
fn leave_room(bytes: u64) {
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes.min(most), most).unwrap();
}

/// Runs a test in a process of its own, in which writing beyond the file size limit is an error and not a signal.
fn alone(test: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(env::current_exe().unwrap());
    let ended = shell.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// Set in that process.
const ALONE: &str = "WEBEMOTION_TEST_ALONE";

#[test]
fn a_full_disk_leaves_the_old_checkpoint_intact_and_the_run_resumes_from_it() {
    if env::var_os(ALONE).is_none() {
        alone("train::tests::a_full_disk_leaves_the_old_checkpoint_intact_and_the_run_resumes_from_it");
        return;
    }
    let set = shapes(60, 2);
    let recipe = small(Method::Scn, 3);
    let (whole, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    to_the_end(&recipe, &set, whole.path());
    let checkpoint = full.path().join("last.safetensors");
    let old = OnceCell::new();
    let (stopped, _) = run(&recipe, &set, full.path(), |epoch, step| {
        if (epoch, step) == (2, 1) {
            let bytes = std::fs::read(&checkpoint).unwrap();
            leave_room(bytes.len() as u64 * 9 / 10);
            old.set(bytes).unwrap();
        }
        false
    });
    let failure = stopped.unwrap_err().failure();
    assert_eq!(failure.reason, crate::failure::Reason::Disk);
    assert!(failure.detail.contains("last.safetensors"), "{}", failure.detail);
    assert!(failure.hint.unwrap().contains("the last checkpoint, which is whole"));
    assert!(!full.path().join("last.safetensors.part").exists(), "the partial file is gone");
    assert!(std::fs::read(&checkpoint).unwrap() == old.into_inner().unwrap());
    leave_room(u64::MAX);
    let (ended, events) = run(&recipe, &set, full.path(), |_, _| false);
    ended.unwrap();
    assert!(matches!(&events[0], TrainEvent::Began { history, .. } if history.len() == 1), "resumed");
    assert_eq!(params(whole.path()), params(full.path()));
}
