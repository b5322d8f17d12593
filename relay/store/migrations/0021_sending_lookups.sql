-- Ways to find transactions of the relay's own that do not read through months of them.
CREATE INDEX signed_transactions_all_nonces ON signed_transactions (signer_id, nonce);
CREATE INDEX signed_transactions_of_meta ON signed_transactions (meta_hash) WHERE meta_hash IS NOT NULL;
-- What an identity used or lost in a day, and what it has on its way, is asked under the lock of the signer.
CREATE INDEX signed_transactions_mined ON signed_transactions (subject, mined_at);
CREATE INDEX signed_transactions_waiting ON signed_transactions (subject) WHERE state = 'open' AND outcome IS NULL;
