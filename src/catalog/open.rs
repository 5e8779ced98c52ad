//! Opens a catalog: refuses other files, creates a missing one, and migrates. Apart from [`Catalog::newest_ms`] it reads no
//! table.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::statfs::{self, FsType};
use nix::unistd::{AccessFlags, access};
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::{Catalog, CatalogError, Result, backup};
use crate::clock::Clock;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The application id that the first migration writes into the file's header: 'wemo'.
const APPLICATION_ID: i64 = u32::from_be_bytes(*b"wemo") as i64;
/// How long a statement waits for another process to end its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections for reading. More than this only cost memory.
const READERS: u32 = 4;
/// Pages in the write-ahead log before a checkpoint (32 MiB): eight times SQLite's default, since claiming and ending jobs
/// rewrites the same pages. Both take a fifth less time with it.
const CHECKPOINT_PAGES: &str = "8000";
/// How long a checkpoint waits for readers. It blocks writers meanwhile, so it must be well below [`BUSY_TIMEOUT`].
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a process that waits for another one's migrations looks again.
const TURN_INTERVAL: Duration = Duration::from_millis(20);
/// Used without the macro, which cannot infer the types of this pragma's columns.
const CHECKPOINT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", "queries/catalog/catalog/checkpoint.sql"));

/// SQLite's result code for a file without SQLite's header.
const NOT_A_DATABASE: &str = "26";

/// File systems whose locks other machines do not see, by their magic numbers in statfs(2).
const NETWORK_FILE_SYSTEMS: [(u64, &str); 9] = [
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x517b, "smb"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x1983_0326, "beegfs"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
];

impl Catalog {
    /// Opens the catalog at a path for reading and writing. Creates it if nothing is there, migrates it if an earlier
    /// release wrote it, and leaves any other file untouched. In a read-only folder it can only be read.
    ///
    /// # Errors
    /// When it is not a catalog, is newer, is on a network file system, or is not readable.
    pub async fn open(path: &Path, clock: &Clock) -> Result<Self> {
        refuse_network_file_system(path)?;
        Self::open_here(path, clock).await.map_err(|error| error.at(path))
    }

    async fn open_here(path: &Path, clock: &Clock) -> Result<Self> {
        if !is_catalog(path).await? {
            create(path).await?;
        }
        let mut connection = SqliteConnection::connect_with(&writing(path)).await?;
        let migrated = update(&mut connection, path, &MIGRATIONS).await;
        connection.close().await?;
        migrated?;
        let writer = connect(writing(path), 1).await?;
        let reader = connect(writing(path), READERS).await?;
        Ok(Self { reader, writer, clock: clock.clone() })
    }

    /// Opens a catalog for reading only, as `doctor` does: it is neither created nor migrated, so queries for what an
    /// earlier release did not have fail.
    ///
    /// # Errors
    /// As [`Catalog::open`], and [`CatalogError::Missing`].
    pub async fn open_read_only(path: &Path, clock: &Clock) -> Result<Self> {
        let opened = async {
            must_be_catalog(path).await?;
            let mut connection = SqliteConnection::connect_with(&reading(path)).await?;
            let known = must_be_known(&mut connection, path).await;
            connection.close().await?;
            known?;
            connect(reading(path), READERS).await
        };
        let reader = opened.await.map_err(|error: CatalogError| error.at(path))?;
        Ok(Self { writer: reader.clone(), reader, clock: clock.clone() })
    }

    /// The problems that SQLite's quick check finds; empty when the file is sound.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let complaints = sqlx::query_file_scalar!("queries/catalog/catalog/quick_check.sql")
            .fetch_all(&self.reader)
            .await?;
        Ok(complaints.into_iter().filter(|complaint| complaint != "ok").collect())
    }

    /// Moves everything committed into the catalog's own file and empties the write-ahead log; until then the file still
    /// contains what was deleted. False when another process still reads or writes after a few seconds.
    pub async fn checkpoint(&self) -> Result<bool> {
        let options = self.writer.connect_options().as_ref().clone().busy_timeout(CHECKPOINT_TIMEOUT);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let is_busy: i64 = sqlx::query_scalar(CHECKPOINT).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(is_busy == 0)
    }

    /// The latest time in it, milliseconds since 1970; 0 if there is none.
    pub async fn newest_ms(&self) -> Result<i64> {
        let newest = sqlx::query_file_scalar!("queries/catalog/catalog/get_newest.sql");
        Ok(newest.fetch_one(&self.reader).await?)
    }
}

/// Moves all that was committed into a catalog's own file, and removes the write-ahead log where nobody else has the
/// catalog open. It is not migrated.
pub(super) async fn fold_log(path: &Path) -> Result<()> {
    must_be_catalog(path).await?;
    let options = writing(path).busy_timeout(CHECKPOINT_TIMEOUT);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let folded = sqlx::query_scalar::<_, i64>(CHECKPOINT).fetch_one(&mut connection).await;
    connection.close().await?;
    folded?;
    Ok(())
}

/// WAL lets readers read while one connection writes. With `synchronous = normal` a killed process loses no commit; a power
/// cut may lose the last ones, whose jobs are then due again, and never damages the file. Deleted content is overwritten:
/// faces of a person who wants to be forgotten must not stay in free pages.
fn writing(path: &Path) -> SqliteConnectOptions {
    at(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("secure_delete", "on")
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
}

fn reading(path: &Path) -> SqliteConnectOptions {
    at(path).read_only(true).busy_timeout(BUSY_TIMEOUT)
}

fn at(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).immutable(is_sealed(path))
}

/// Whether a catalog is in a read-only folder and complete, that is, without a write-ahead log beside it. SQLite cannot
/// create one there, and reads such a file only as `immutable`.
fn is_sealed(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let refused = access(folder_of(path), AccessFlags::W_OK);
    matches!(refused, Err(Errno::EACCES | Errno::EPERM | Errno::EROFS)) && !Path::new(&log).exists()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

async fn connect(options: SqliteConnectOptions, connections: u32) -> Result<SqlitePool> {
    // A connection to a local file does not go stale, so it need not be tested before each use.
    let pool = SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
    Ok(pool.connect_with(options).await?)
}

/// Whether there is a catalog; false if nothing is there. Asks SQLite, opened read-only: reading the header directly would
/// be simpler, but closing a file drops every POSIX lock that this process holds on it.
///
/// # Errors
/// When there is something else.
async fn is_catalog(path: &Path) -> Result<bool> {
    let other = |why: &str| CatalogError::NotACatalog { path: path.to_owned(), why: why.to_owned() };
    let unreadable = |source| CatalogError::Unreadable { path: path.to_owned(), source };
    let found = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        found => found.map_err(unreadable)?,
    };
    if found.is_dir() {
        return Err(other("it is a folder"));
    }
    let mut connection = SqliteConnection::connect_with(&reading(path)).await?;
    let id = sqlx::query_file_scalar!("queries/catalog/catalog/get_application_id.sql")
        .fetch_one(&mut connection)
        .await;
    connection.close().await?;
    match id {
        Ok(APPLICATION_ID) => Ok(true),
        Ok(_) if found.len() > 0 => Err(other("it is another program's SQLite file")),
        Ok(_) => Err(other("it is no SQLite file")),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_A_DATABASE) => {
            Err(other("it is no SQLite file"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Creates the catalog under another name and renames it when it is complete and in WAL mode. A killed process leaves no
/// unfinished catalog, nor a journal, which a reader could not roll back. If two processes create it, the first one wins.
async fn create(path: &Path) -> Result<()> {
    let unreadable = |source| CatalogError::Unreadable { path: path.to_owned(), source };
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(unreadable)?;
    let part = tempfile::Builder::new().prefix("catalog-").suffix(".part").tempfile_in(folder);
    let part = part.map_err(unreadable)?;
    // Everything must be in one file when it is renamed: WAL mode is set last, when nothing is left to write.
    let options = writing(part.path()).journal_mode(SqliteJournalMode::Delete);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    migrate(&mut connection, path, &MIGRATIONS).await?;
    connection.close().await?;
    SqliteConnection::connect_with(&writing(part.path())).await?.close().await?;
    part.as_file().sync_all().map_err(unreadable)?;
    match part.into_temp_path().persist_noclobber(path) {
        Err(lost) if lost.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        moved => moved.map_err(|lost| unreadable(lost.error)),
    }
}

/// Migrates an existing catalog, while no other process does. Before a migration that removes something, the catalog is
/// backed up.
async fn update(connection: &mut SqliteConnection, path: &Path, migrations: &Migrator) -> Result<()> {
    if !has_pending(connection, path, migrations).await? {
        // Nothing is written: it only refuses a catalog of another history.
        return migrate(connection, path, migrations).await;
    }
    let _turn = turn(path).await;
    // Both ask again what is applied: another process may have done it meanwhile.
    if let Some(version) = first_breaking(connection, path, migrations).await? {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".before-{version}"));
        let copy = path.with_file_name(name);
        if !copy.exists() {
            backup::write(connection, &copy).await?;
            tracing::warn!(backup = %copy.display(), "the catalog is changed for good: it was copied before");
        }
    }
    migrate(connection, path, migrations).await
}

/// Waits until no other process migrates a catalog of this folder; then it is this one's turn until the handle is dropped.
/// For SQLite the migrator takes no lock of its own: processes that list the same pending migrations would all run them,
/// and all but one fail. The folder is locked, since SQLite loses its locks when another handle of the file is closed.
/// `None` where the file system knows no such locks.
async fn turn(path: &Path) -> Option<File> {
    let folder = File::open(folder_of(path)).ok()?;
    let mut is_told = false;
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return None,
        }
        if !is_told {
            tracing::info!(catalog = %path.display(), "another process updates the catalog: waiting for it");
            is_told = true;
        }
        tokio::time::sleep(TURN_INTERVAL).await;
    }
}

/// Whether a migration is not applied yet.
async fn has_pending(connection: &mut SqliteConnection, path: &Path, migrations: &Migrator) -> Result<bool> {
    let applied = connection.list_applied_migrations().await.map_err(|error| not_migrated(path, error))?;
    Ok(migrations.iter().any(|it| !applied.iter().any(|done| done.version == it.version)))
}

/// The first pending migration whose leading comment contains `breaking:`.
async fn first_breaking(
    connection: &mut SqliteConnection,
    path: &Path,
    migrations: &Migrator,
) -> Result<Option<i64>> {
    let applied = connection.list_applied_migrations().await.map_err(|error| not_migrated(path, error))?;
    let is_applied = |version| applied.iter().any(|migration| migration.version == version);
    let is_breaking = |sql: &str| {
        sql.lines().take_while(|line| line.starts_with("--")).any(|line| line.contains("breaking:"))
    };
    Ok(migrations.iter().find(|it| is_breaking(&it.sql) && !is_applied(it.version)).map(|it| it.version))
}

/// Refuses a catalog of a later release.
async fn must_be_known(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    let applied = connection.list_applied_migrations().await.map_err(|error| not_migrated(path, error))?;
    match applied.iter().find(|it| !MIGRATIONS.version_exists(it.version)) {
        Some(later) => Err(CatalogError::Newer { path: path.to_owned(), version: later.version }),
        None => Ok(()),
    }
}

/// Refuses anything that is not a catalog.
pub(super) async fn must_be_catalog(path: &Path) -> Result<()> {
    if is_catalog(path).await? { Ok(()) } else { Err(CatalogError::Missing { path: path.to_owned() }) }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path, migrations: &Migrator) -> Result<()> {
    migrations.run(connection).await.map_err(|error| not_migrated(path, error))
}

fn not_migrated(path: &Path, error: MigrateError) -> CatalogError {
    let path = path.to_owned();
    match error {
        MigrateError::VersionMissing(version) => CatalogError::Newer { path, version },
        MigrateError::Execute(source) => CatalogError::Refused { path, source },
        source => CatalogError::Migration { path, source },
    }
}

fn refuse_network_file_system(path: &Path) -> Result<()> {
    let standing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let Ok(found) = statfs::statfs(standing) else { return Ok(()) };
    match network_name(found.filesystem_type()) {
        Some(name) => Err(CatalogError::NetworkFileSystem { path: standing.to_owned(), name }),
        None => Ok(()),
    }
}

fn network_name(kind: FsType) -> Option<&'static str> {
    // The kernel's number is signed on some architectures: only its low 32 bits count.
    let magic = (kind.0 as u64) & 0xffff_ffff;
    NETWORK_FILE_SYSTEMS.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Exit, Failure};

    async fn change(path: &Path, sql: &str) {
        let options = writing(path).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn refusal(path: &Path) -> Failure {
        let before = std::fs::read(path).ok();
        let failure = Catalog::open(path, &Clock::fixed(0)).await.unwrap_err().failure();
        let after = std::fs::read(path).ok();
        assert!(after == before, "the file was touched");
        let read_only = Catalog::open_read_only(path, &Clock::fixed(0)).await.unwrap_err();
        assert_eq!(read_only.failure().hint, failure.hint);
        assert_eq!(failure.exit(), Exit::Unusable);
        failure
    }

    #[tokio::test]
    async fn another_kind_of_file_is_refused_and_left_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        std::fs::write(&path, b"dear diary".repeat(100)).unwrap();
        assert!(refusal(&path).await.detail.contains("no SQLite file"));
        std::fs::write(&path, b"").unwrap();
        assert!(refusal(&path).await.detail.contains("no SQLite file"));
        assert!(refusal(folder.path()).await.detail.contains("a folder"));
    }

    #[tokio::test]
    async fn another_programs_database_is_refused_and_left_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        change(&path, "create table diary (day text)").await;
        assert!(refusal(&path).await.detail.contains("another program"));
    }

    #[tokio::test]
    async fn a_newer_catalog_is_refused_and_left_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        create(&path).await.unwrap();
        let later =
            "insert into _sqlx_migrations values (99990101000000, 'later', '2030-01-01', true, x'00', 1)";
        change(&path, later).await;
        assert!(refusal(&path).await.detail.contains("newer"));
    }

    #[tokio::test]
    async fn a_damaged_catalog_is_named_with_a_hint_how_to_save_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        create(&path).await.unwrap();
        File::options().write(true).open(&path).unwrap().set_len(20_000).unwrap();
        let failure = refusal(&path).await;
        let beginning = format!("{} is damaged: ", path.display());
        assert!(failure.detail.starts_with(&beginning), "{}", failure.detail);
        assert!(failure.hint.unwrap().contains("webemotion backup"));
    }

    #[tokio::test]
    async fn a_sound_catalog_has_no_complaints() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        create(&path).await.unwrap();
        let catalog = Catalog::open_read_only(&path, &Clock::fixed(0)).await.unwrap();
        assert_eq!(catalog.complaints().await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_missing_catalog_is_created_but_not_by_readers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/catalog.db");
        let missing = Catalog::open_read_only(&path, &Clock::fixed(0)).await.unwrap_err();
        assert!(matches!(missing, CatalogError::Missing { .. }));
        assert!(!path.exists());
        let clock = Clock::fixed(0);
        let (one, other) = tokio::join!(Catalog::open(&path, &clock), Catalog::open(&path, &clock));
        one.unwrap().close().await;
        other.unwrap().close().await;
        let names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["catalog.db"], "nothing else is left behind");
        Catalog::open_read_only(&path, &Clock::fixed(0)).await.unwrap();
    }

    /// Otherwise a process killed while the mode changes would leave a journal, and readers would refuse the catalog.
    #[tokio::test]
    async fn a_catalog_is_in_wal_mode_before_it_has_its_name() {
        const WRITE_VERSION_WAL: [u8; 2] = [2, 2];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        create(&path).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap()[18..20], WRITE_VERSION_WAL);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[tokio::test]
    async fn the_catalog_is_backed_up_before_a_breaking_migration() {
        use sqlx::migrate::{Migration, MigrationType};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        create(&path).await.unwrap();
        let mut all: Vec<Migration> = MIGRATIONS.iter().cloned().collect();
        let later = |version, sql: &'static str| {
            Migration::new(version, "later".into(), MigrationType::Simple, sql.into(), false)
        };
        all.push(later(99990101000000, "-- Adds a table.\ncreate table harmless (id integer)"));
        let harmless = Migrator { migrations: all.clone().into(), ..Migrator::DEFAULT };
        let mut connection = SqliteConnection::connect_with(&writing(&path)).await.unwrap();
        update(&mut connection, &path, &harmless).await.unwrap();
        let copy = folder.path().join("catalog.db.before-99990102000000");
        assert!(!copy.exists());

        all.push(later(99990102000000, "-- breaking: drops what nobody reads.\ndrop table tombstone"));
        let breaking = Migrator { migrations: all.into(), ..Migrator::DEFAULT };
        update(&mut connection, &path, &breaking).await.unwrap();
        update(&mut connection, &path, &breaking).await.unwrap();
        let mut before = SqliteConnection::connect_with(&reading(&copy)).await.unwrap();
        sqlx::query("select count(*) from tombstone").execute(&mut before).await.unwrap();
        assert!(sqlx::query("select count(*) from tombstone").execute(&mut connection).await.is_err());
    }

    #[tokio::test]
    async fn several_openers_of_an_older_catalog_migrate_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let all: Vec<sqlx::migrate::Migration> = MIGRATIONS.iter().take(8).cloned().collect();
        let older = Migrator { migrations: all.into(), ..Migrator::DEFAULT };
        let options = writing(&path).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        migrate(&mut connection, &path, &older).await.unwrap();
        connection.close().await.unwrap();
        let clock = Clock::fixed(0);
        let openers = (0..6).map(|_| Catalog::open(&path, &clock));
        for opened in futures_util::future::join_all(openers).await {
            opened.unwrap().close().await;
        }
        let mut connection = SqliteConnection::connect_with(&reading(&path)).await.unwrap();
        assert!(!has_pending(&mut connection, &path, &MIGRATIONS).await.unwrap());
        // The next one need not wait for those that came before.
        assert!(turn(&path).await.is_some());
    }

    #[test]
    fn network_file_systems_are_recognised_by_number() {
        assert_eq!(network_name(FsType(0x6969)), Some("nfs"));
        assert_eq!(network_name(FsType(0xef53)), None);
    }
}
