-- The journal, first version. Times are Unix seconds. See docs/decisions/0003-sqlite-journal.md for why it looks like this.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- The distinct routes, interned.
CREATE TABLE route (
    id INTEGER PRIMARY KEY,
    names TEXT NOT NULL UNIQUE -- JSON list of carriers
);

-- Rows are numbered by the writer from a random base, and never used twice (see Memory.next_message).
CREATE TABLE message (
    row INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    state INTEGER NOT NULL, -- QueueState
    priority INTEGER NOT NULL,
    route INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    due_at REAL, -- when time next demands something; ACTIVE: NULL; DONE: since when
    expires_at REAL NOT NULL,
    attempt INTEGER NOT NULL, -- opened so far
    deferrals INTEGER NOT NULL,
    seq INTEGER NOT NULL, -- events so far
    possible_duplicate INTEGER NOT NULL,
    cancel REAL NOT NULL, -- 0 no; 1 wanted; else: handed to the carrier at this time
    carrier TEXT, -- of the last attempt
    code INTEGER, -- DLR table
    confirmed INTEGER NOT NULL,
    last_error TEXT,
    body BLOB NOT NULL -- msgpack of the Message; its text is "" once erased
);
CREATE UNIQUE INDEX message_id ON message (source, id);
CREATE INDEX message_claim ON message (route, priority DESC) WHERE state = 2;
CREATE INDEX message_due ON message (state, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_cancel ON message (carrier) WHERE cancel <> 0;

-- Unresolved attempts alone: on their way, or in doubt.
CREATE TABLE attempt (
    message INTEGER NOT NULL,
    n INTEGER NOT NULL,
    carrier TEXT NOT NULL,
    owner TEXT NOT NULL,
    lease REAL NOT NULL,
    opened_at REAL NOT NULL,
    destination TEXT NOT NULL, -- the last 8 digits
    doubtful_since REAL, -- NULL: open
    PRIMARY KEY (message, n)
) WITHOUT ROWID;
CREATE INDEX attempt_doubt ON attempt (destination) WHERE doubtful_since IS NOT NULL;

-- What the provider calls a part. row = message << 24 | attempt << 8 | part.
CREATE TABLE part (
    row INTEGER PRIMARY KEY,
    key TEXT NOT NULL, -- message_id, case-folded, zeros stripped
    carrier TEXT NOT NULL,
    message_id TEXT NOT NULL,
    parts INTEGER NOT NULL, -- of that attempt
    submitted_at REAL NOT NULL,
    code INTEGER, -- of one part of several; a message of one part keeps it on its own row
    confirmed INTEGER NOT NULL DEFAULT 1,
    final INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX part_key ON part (key);

-- Parked receipts.
CREATE TABLE receipt (
    row INTEGER PRIMARY KEY,
    carrier TEXT NOT NULL,
    key TEXT NOT NULL,
    destination TEXT NOT NULL,
    parked_at REAL NOT NULL,
    body BLOB NOT NULL -- msgpack of the Receipt
);
CREATE INDEX receipt_key ON receipt (key);
CREATE INDEX receipt_destination ON receipt (destination);

-- row = message << 16 | seq: an event of a message needs no index. Events without a message are numbered from 1 << 62.
CREATE TABLE event (
    row INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    at REAL NOT NULL,
    payload BLOB NOT NULL
);

-- One row for each topic that an event still has to reach.
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    topic TEXT, -- NULL: the event topic
    correlation BLOB,
    payload BLOB, -- instead of the event's own
    tries INTEGER NOT NULL DEFAULT 0,
    cuts INTEGER NOT NULL DEFAULT 0,
    aside INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_aside ON outbox (row) WHERE aside = 1;

-- row = the number in the event_id.
CREATE TABLE refused (
    row INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    id TEXT,
    digest BLOB NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    raw BLOB,
    received_at REAL NOT NULL
);
CREATE INDEX refused_raw ON refused (received_at) WHERE raw IS NOT NULL; -- what the text retention looks for

-- Cancels that came before their message.
CREATE TABLE tombstone (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;
