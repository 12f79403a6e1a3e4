-- Replies in several parts, which message a reply answers, and which replies were never answered to the provider.

-- Parts that wait for the others. A reply's parts share a key; rows are numbered in the order of arrival.
CREATE TABLE fragment (
    row INTEGER PRIMARY KEY,
    key BLOB NOT NULL, -- digest of carrier, numbers, reference and total, and whether it is a repetition of what was told whole
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    again INTEGER NOT NULL, -- 1: identical to a part of a reply that was told whole
    repeated INTEGER NOT NULL, -- 1: an identical one was committed before, and its response never left
    body BLOB NOT NULL, -- msgpack of the Reply
    UNIQUE (key, number)
);

-- Digests of what was committed, for some time: a provider repeats what we did not answer, or what it could not hear the answer to.
CREATE TABLE heard (
    row INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    session INTEGER, -- the connection that it came by
    at REAL NOT NULL,
    told INTEGER NOT NULL, -- 1: a part of a reply that was told whole
    answered INTEGER NOT NULL
);

-- The last 8 digits: the same in every spelling of a number. An older journal's messages get theirs in steps, from this mark on, and then
-- all of them their index: database.py, since they stand in the body.
ALTER TABLE message ADD COLUMN destination INTEGER;
INSERT INTO meta VALUES ('unfilled_destination', 0);
