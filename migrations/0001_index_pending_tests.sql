-- Found by claims and the sweep for inactive endpoints, whose tests alone are sent. Where `deliveries` is large, an operator
-- makes it on each partition before the release, which the statement below only takes up then:
--   create index concurrently on deliveries_20260105 (endpoint_id, next_attempt_at) where state = 'pending' and origin = 'test'
CREATE INDEX IF NOT EXISTS "deliveries_test_idx" ON "deliveries" USING btree ("endpoint_id","next_attempt_at") WHERE state = 'pending' and origin = 'test';
