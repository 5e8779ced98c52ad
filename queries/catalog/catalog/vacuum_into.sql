-- backup::write; SQLite copies what is committed into a new file, while others go on working.
vacuum into $1
