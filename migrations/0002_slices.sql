-- Which slices bookings belong to. A row of the ledger names the slice of the account's window that
-- covered its hold. A slice names the newest row that there was when it was taken: a slice of the
-- same name may have been there before, and that one's rows are not its own.

ALTER TABLE ledger ADD COLUMN window_slice TEXT;
ALTER TABLE slice ADD COLUMN since_seq BIGINT NOT NULL DEFAULT 0;

-- A window is read by the monotonic clock of the boot that booked.
CREATE INDEX ledger_mono ON ledger (account, boot, mono_us);
-- Holds leave the journal some time after their end, however they ended.
CREATE INDEX hold_expires ON hold (expires_at);
