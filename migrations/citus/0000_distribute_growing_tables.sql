-- Citus checks a unique key within one shard only, so each must hold the column that rows are distributed by.
ALTER TABLE "audit_events" DROP CONSTRAINT "audit_events_pkey";
--> statement-breakpoint
ALTER TABLE "audit_events" ADD CONSTRAINT "audit_events_pkey" PRIMARY KEY ("organization_id", "id");
--> statement-breakpoint
-- All in one co-location group: what belongs to one organization is on one node, in every table. Distributing a
-- partitioned table distributes its partitions, those that are made later too.
SELECT create_distributed_table('events', 'organization_id', colocate_with => 'none');
--> statement-breakpoint
SELECT create_distributed_table('deliveries', 'organization_id', colocate_with => 'events');
--> statement-breakpoint
SELECT create_distributed_table('delivery_attempts', 'organization_id', colocate_with => 'events');
--> statement-breakpoint
SELECT create_distributed_table('inbound_webhooks', 'organization_id', colocate_with => 'events');
--> statement-breakpoint
SELECT create_distributed_table('audit_events', 'organization_id', colocate_with => 'events');
