-- Tasks that were ever executed: the kind (none for a command), and what the task is called in its flow.
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, flow TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (flow, name, kind)
);

-- How long each execution took (seconds), and its peak memory (bytes). `work` is a hash of the command, the parameters and
-- the axes; `finished` is in microseconds since 1970.
CREATE TABLE history (
    task INTEGER, work INTEGER, finished INTEGER, seconds REAL NOT NULL, memory INTEGER NOT NULL,
    PRIMARY KEY (task, work, finished)
) WITHOUT ROWID;
CREATE INDEX history_of_task ON history (task, finished);
