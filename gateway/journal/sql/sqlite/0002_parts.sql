-- Long messages: each part is an attempt of its own, and what has left already is kept on the message.

ALTER TABLE message ADD COLUMN progress BLOB; -- msgpack of records.Progress; NULL: one part, or nothing was claimed yet
ALTER TABLE attempt ADD COLUMN part INTEGER NOT NULL DEFAULT 1;
UPDATE attempt SET lease = 0; -- whoever opened one is gone, whatever it was called: who migrates has the lock

-- The last concatenation reference that was given to a destination: the next message to it takes another one.
CREATE TABLE concatenation (
    destination INTEGER PRIMARY KEY, -- national digits
    reference INTEGER NOT NULL, -- 16 bits; carriers that carry 8 take the low ones
    at REAL NOT NULL
);
CREATE INDEX concatenation_at ON concatenation (at);
