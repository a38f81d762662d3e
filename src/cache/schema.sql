-- The index of a cache. All of it follows from results/, or only saves reading files again, so it may be deleted.

-- The newest execution of each key.
CREATE TABLE results (
    key BLOB PRIMARY KEY, n INTEGER NOT NULL, flow TEXT NOT NULL, task TEXT NOT NULL, run TEXT NOT NULL,
    finished TEXT NOT NULL, outputs TEXT NOT NULL
) WITHOUT ROWID;

-- Which keys wrote and read an artifact, under which name; of all executions.
CREATE TABLE produced (hash BLOB, key BLOB, name TEXT, PRIMARY KEY (hash, key, name)) WITHOUT ROWID;
CREATE TABLE consumed (hash BLOB, key BLOB, name TEXT, PRIMARY KEY (hash, key, name)) WITHOUT ROWID;

-- Which keys read something of another key's result, or of a ref that it moved, under which name.
CREATE TABLE followed (source BLOB, key BLOB, name TEXT, PRIMARY KEY (source, key, name)) WITHOUT ROWID;

-- The key that an instance of a flow had when it was last brought up to date.
CREATE TABLE last (flow TEXT, task TEXT, key BLOB NOT NULL, finished TEXT NOT NULL, PRIMARY KEY (flow, task))
WITHOUT ROWID;

-- What the file system said of an object when its bytes had the right hash and were synced.
CREATE TABLE objects (
    hash BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL,
    inode INTEGER NOT NULL, mode INTEGER NOT NULL
) WITHOUT ROWID;

-- What the file system said of a file outside the cache when its bytes had this hash.
CREATE TABLE sources (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL,
    inode INTEGER NOT NULL, mode INTEGER NOT NULL, hash BLOB NOT NULL
) WITHOUT ROWID;
