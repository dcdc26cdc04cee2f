-- The tables of the shop, and the orders that are there from the beginning: the same as in memory.
-- How many there are can be set before: SET lab.tenants = '8'; SET lab.orders_per_tenant = '1000'.
CREATE TABLE orders (
    id text PRIMARY KEY,
    tenant text NOT NULL,
    item text NOT NULL,
    amount_cents bigint NOT NULL,
    status text NOT NULL,
    idempotency_key text NOT NULL,
    UNIQUE (tenant, idempotency_key)
);
-- Preloaded orders are numbered from 1, new ones from here.
CREATE SEQUENCE order_numbers START 1000001;
INSERT INTO orders
SELECT 't' || t || '-' || n, 't' || t, 'item-' || n % 100, 100 + n % 1000, 'paid', 'preloaded-' || n
FROM generate_series(1, coalesce(current_setting('lab.tenants', true), '8')::int) t,
    generate_series(1, coalesce(current_setting('lab.orders_per_tenant', true), '1000')::int) n;
ANALYZE orders;
