-- Records belong to a scope, of which fleets are one sort, and have a kind to be selected by.
ALTER TABLE records RENAME COLUMN fleet TO scope;
ALTER TABLE records ADD COLUMN kind TEXT NOT NULL DEFAULT 'unknown';
UPDATE records SET
    scope = 'fleet/' || scope,
    -- What is not JSON is found to be damaged when it is read, with its place.
    kind = CASE WHEN NOT json_valid(body) THEN 'unknown' ELSE
        CASE json_extract(body, '$.event')
            WHEN 'ticked'   THEN 'tick'
            WHEN 'intended' THEN 'intent'
            WHEN 'settled'  THEN 'settlement'
            ELSE COALESCE(json_extract(body, '$.event'), 'unknown')
        END
    END;
CREATE INDEX records_by_kind ON records (kind, seq);

ALTER TABLE snapshots RENAME COLUMN fleet TO scope;
UPDATE snapshots SET scope = 'fleet/' || scope;

-- The first version looks here, and then says which version can read the file. For that, indexes
-- keep the names that it makes when they are missing (records_by_fleet is by scope now).
INSERT OR REPLACE INTO meta (key, value) VALUES ('version', '2');
