-- Every row is a breach: (invariant of reliability 4.3, subject, detail). Read by app.ledger.checking in one statement; no parameters.
WITH
-- what happened to each account of a trade, debit positive
s AS MATERIALIZED (
    SELECT a.trade_id, t.kind AS what, a.kind AS place, sum(e.amount)::bigint AS amount
    FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id JOIN ledger_transaction t ON t.id = e.transaction_id
    WHERE a.trade_id IS NOT NULL GROUP BY 1, 2, 3),
-- one line of money for each trade
m AS MATERIALIZED (
    SELECT r.id, r.supplier_id, r.retailer_id, r.currency, r.state, r.total,
        coalesce(sum(amount) FILTER (WHERE what = 'capture' AND place = 'psp_clearing'), 0) AS captured,
        coalesce(sum(amount) FILTER (WHERE what = 'release' AND place = 'escrow'), 0) AS released,
        coalesce(-sum(amount) FILTER (WHERE what = 'refund' AND place = 'refund_in_transit'), 0) AS refunded,
        coalesce(sum(amount) FILTER (WHERE what = 'refund' AND place = 'escrow'), 0) AS refunded_from_escrow,
        coalesce(sum(amount) FILTER (WHERE what LIKE 'dispute%' AND place = 'escrow'), 0) AS disputed_from_escrow,
        coalesce(sum(amount) FILTER (WHERE what = 'dispute_lost' AND place = 'dispute_hold'), 0) AS charged_back,
        coalesce(-sum(amount) FILTER (WHERE place = 'dispute_hold'), 0) AS disputed,
        coalesce(-sum(amount) FILTER (WHERE place = 'escrow'), 0) AS escrow,
        coalesce(-sum(amount) FILTER (WHERE place IN ('fee', 'fee_vat')), 0) AS fees,
        coalesce(-sum(amount) FILTER (WHERE place = 'payable'), 0) - coalesce(sum(amount) FILTER (WHERE place = 'receivable'), 0) AS claim
    FROM trade r JOIN s ON s.trade_id = r.id GROUP BY r.id),
-- every transaction by what it did to each kind of account
k AS MATERIALIZED (
    SELECT t.id, t.kind, t.key, t.payment_id, t.supplier_id, t.trade_id, a.kind AS place, a.currency, sum(e.amount)::bigint AS amount
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
    GROUP BY t.id, a.kind, a.currency)

SELECT 1 AS invariant, 'transaction/' || transaction_id AS subject, 'adds up to ' || sum(amount) || ' ' || currency AS detail
    FROM ledger_entry GROUP BY transaction_id, currency HAVING sum(amount) <> 0
UNION ALL SELECT 1, 'transaction/' || t.id, 'has no entries'
    FROM ledger_transaction t WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id)
UNION ALL SELECT 1, 'database', 'the guard ' || name || ' is missing or switched off'
    FROM unnest(CAST(:guards AS text[])) AS name
    WHERE NOT EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgname = name AND g.tgenabled = 'O')

UNION ALL SELECT 2, 'key/' || key, count(*) || ' times' FROM ledger_transaction GROUP BY key HAVING count(*) > 1
UNION ALL SELECT 2, 'payment/' || payment_id, 'booked as done and as failed'
    FROM k WHERE key LIKE 'done:%' OR key LIKE 'failed:%' GROUP BY payment_id HAVING count(DISTINCT key) > 1

UNION ALL SELECT 3, 'trade/' || id, 'refunded ' || refunded || ' of ' || captured FROM m WHERE refunded < 0 OR refunded > captured
UNION ALL SELECT 3, 'trade/' || id, 'captured ' || captured || ' of ' || total FROM m WHERE captured NOT IN (0, total)
UNION ALL SELECT 3, 'trade/' || h.trade_id || '/line/' || l.id, 'refunded ' || sum(h.amount) || ' of ' || l.quantity * l.unit_price
    FROM refund_share h JOIN trade_line l ON l.id = h.line_id JOIN trade r ON r.id = l.trade_id
    WHERE r.goods = (SELECT sum(quantity * unit_price) FROM trade_line x WHERE x.trade_id = r.id)
    GROUP BY h.trade_id, l.id HAVING sum(h.amount) > l.quantity * l.unit_price

UNION ALL SELECT 4, 'trade/' || m.id, 'released ' || released || ' + refunded ' || refunded_from_escrow || ' + disputed ' || disputed_from_escrow
        || ' + escrow ' || coalesce(a.balance, 0) || ' are not ' || captured
    FROM m LEFT JOIN ledger_account a ON a.trade_id = m.id AND a.kind = 'escrow'
    WHERE released + refunded_from_escrow + disputed_from_escrow + coalesce(a.balance, 0) <> captured OR coalesce(a.balance, 0) < 0

UNION ALL SELECT 5, 'transaction/' || t.id, 'a release without a parcel of its trade'
    FROM ledger_transaction t
    WHERE t.kind = 'release' AND NOT EXISTS (
        SELECT 1 FROM trade_parcel p WHERE p.transaction_id = t.id AND p.trade_id = t.trade_id AND p.state = 'released')
UNION ALL SELECT 5, 'parcel/' || p.id, 'its shipment is none of its trade'
    FROM trade_parcel p JOIN trade r ON r.id = p.trade_id
    WHERE NOT EXISTS (SELECT 1 FROM shipment h WHERE h.id = p.shipment_id AND h.order_id = r.order_id)
UNION ALL SELECT 5, 'parcel/' || p.id, 'its number was used before'
    FROM trade_parcel p JOIN trade r ON r.id = p.trade_id
    LEFT JOIN tracking_use u ON u.supplier_id = r.supplier_id AND u.number = p.number
    WHERE u.id IS NULL OR (u.trade_id <> r.id AND abs(extract(epoch FROM p.shipped_at - u.used_at)) > 48 * 3600)
        OR EXISTS (SELECT 1 FROM trade_parcel q WHERE q.trade_id = p.trade_id AND q.number = p.number AND q.shipment_id <> p.shipment_id AND q.id < p.id)
UNION ALL SELECT 5, 'trade/' || l.trade_id || '/line/' || l.id, sum(u.count::int) || ' of ' || l.quantity || ' units left in parcels'
    FROM trade_parcel p CROSS JOIN LATERAL jsonb_each_text(p.units) AS u(line, count)
    JOIN trade_line l ON l.id = u.line::bigint AND l.trade_id = p.trade_id
    GROUP BY l.id HAVING sum(u.count::int) > l.quantity
UNION ALL SELECT 5, 'parcel/' || p.id, 'released before its policy was met'
    FROM trade_parcel p JOIN trade r ON r.id = p.trade_id JOIN ledger_transaction t ON t.id = p.transaction_id
    WHERE CASE r.policy->>'kind'
        WHEN 'tracking' THEN false
        WHEN 'carrier_scan' THEN p.scanned_at IS NULL AND p.delivered_at IS NULL
        WHEN 'delivered' THEN p.delivered_at IS NULL OR p.delivered_at + make_interval(hours => 24 * (r.policy->>'days')::int) > t.at
        ELSE true END

UNION ALL SELECT 7, 'supplier/' || c.supplier_id, 'earned ' || c.net || ' ' || c.currency || ', but ' || c.claim || ' open and ' || coalesce(p.paid, 0) || ' paid'
    FROM (SELECT supplier_id, currency, sum(captured - refunded - charged_back - disputed - escrow - fees) AS net, sum(claim) AS claim
          FROM m GROUP BY 1, 2) AS c
    LEFT JOIN (SELECT supplier_id, currency, sum(CASE kind WHEN 'payout' THEN amount ELSE -amount END) AS paid FROM payment
               WHERE kind IN ('payout', 'reverse') AND state IN ('due', 'unknown', 'done') GROUP BY 1, 2) AS p
        ON p.supplier_id = c.supplier_id AND p.currency = c.currency
    WHERE c.net <> c.claim + coalesce(p.paid, 0)
UNION ALL SELECT 7, 'payment/' || p.id, 'left ' || x.kept || ' of a reserve of ' || p.reserve
    FROM payment p JOIN ledger_transaction t ON t.key = p.key
    CROSS JOIN LATERAL (
        SELECT -coalesce(sum(e.amount), 0) AS kept FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id
        WHERE a.owner_id = p.supplier_id AND a.kind = 'payable' AND a.currency = p.currency AND e.transaction_id <= t.id) AS x
    WHERE p.kind = 'payout' AND p.reserve > 0 AND x.kept < p.reserve
UNION ALL SELECT 7, 'payment/' || t.payment_id, 'paid out while trade/' || a.trade_id || ' was disputed'
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
    JOIN ledger_account a ON a.id = e.account_id AND a.kind = 'payable'
    JOIN ledger_transaction d ON d.trade_id = a.trade_id AND d.kind = 'dispute' AND d.id < t.id
    WHERE t.kind = 'payout' AND NOT EXISTS (
        SELECT 1 FROM ledger_transaction o WHERE o.key = 'dispute_over:' || substr(d.key, 9) AND o.id < t.id)

UNION ALL SELECT 8, 'transaction/' || k.id, 'the retailer gets ' || -k.amount || ' of ' || p.amount
    FROM k JOIN payment p ON p.id = k.payment_id WHERE k.kind = 'refund' AND k.place = 'refund_in_transit' AND -k.amount <> p.amount
UNION ALL SELECT 8, 'trade/' || a.trade_id, 'owes and gets: ' || a.balance || ' and ' || b.balance
    FROM ledger_account a JOIN ledger_account b ON b.trade_id = a.trade_id AND b.kind = 'payable'
    WHERE a.kind = 'receivable' AND a.balance > 0 AND b.balance > 0

UNION ALL SELECT 9, 'trade/' || id, 'is ' || state || ' with ' || refunded + charged_back || ' of ' || captured || ' given back'
    FROM m WHERE state IN ('cancelled', 'rejected') AND refunded + charged_back + disputed <> captured
UNION ALL SELECT 9, 'transaction/' || t.id, 'a release after the cancellation'
    FROM ledger_transaction t JOIN ledger_transaction c ON c.trade_id = t.trade_id AND c.key LIKE 'cancel:%' AND c.id < t.id
    WHERE t.kind = 'release'

UNION ALL SELECT 10, 'trade/' || id, 'is ' || state || ' with ' || escrow || ' in escrow'
    FROM m WHERE state IN ('cancelled', 'rejected', 'payment_failed', 'closed') AND escrow <> 0
UNION ALL SELECT 10, 'account/' || a.id, 'belongs to somebody else than its trade, or has another currency'
    FROM ledger_account a JOIN trade r ON r.id = a.trade_id
    WHERE a.currency <> r.currency OR (a.owner_id IS NOT NULL AND a.owner_id NOT IN (r.supplier_id, r.retailer_id))
UNION ALL SELECT DISTINCT 10, 'transaction/' || t.id, 'touches account/' || a.id || ' of another supplier or trade'
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
    LEFT JOIN trade r ON r.id = a.trade_id
    WHERE coalesce(r.supplier_id, a.owner_id) <> t.supplier_id
        OR (t.trade_id IS NOT NULL AND a.trade_id <> t.trade_id AND a.kind NOT IN ('payable', 'receivable'))

UNION ALL SELECT 12, 'trade/' || r.id, 'its supplier was sent the status ' || (c.payload->>'status')
    FROM command c JOIN trade r ON r.order_id = c.order_id
    WHERE c.kind IN ('order.status', 'trade.status') AND c.payload->>'status' IN ('completed', 'refunded', 'cancelled')

UNION ALL SELECT 13, 'payment/' || p.id, 'done, but not booked'
    FROM payment p WHERE p.state = 'done' AND p.amount > 0
        AND NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.payment_id = p.id AND (t.kind = 'capture' OR t.key = 'done:' || p.key))
UNION ALL SELECT 13, 'payment/' || p.id, 'booked as done, but ' || p.state
    FROM payment p JOIN ledger_transaction t ON t.payment_id = p.id AND (t.kind = 'capture' OR t.key = 'done:' || p.key) WHERE p.state <> 'done'
UNION ALL SELECT 13, 'account/' || a.id, a.kind || ' ' || a.balance || ' is not ' || coalesce(o.amount, 0) || ', the open instructions'
    FROM ledger_account a LEFT JOIN (
        SELECT CASE kind WHEN 'refund' THEN 'refund_in_transit' WHEN 'payout' THEN 'payout_in_transit' ELSE 'recovery_in_transit' END AS place,
            CASE kind WHEN 'refund' THEN trade_id END AS trade_id, CASE kind WHEN 'refund' THEN NULL ELSE supplier_id END AS owner_id, currency,
            sum(amount) AS amount
        FROM payment p
        WHERE kind <> 'capture' AND (state IN ('due', 'unknown') OR (state = 'failed' AND kind = 'refund'
            AND NOT EXISTS (SELECT 1 FROM payment n WHERE n.key = p.key || '\:again')))
        GROUP BY 1, 2, 3, 4) AS o
        ON o.place = a.kind AND o.currency = a.currency AND (o.trade_id = a.trade_id OR (a.trade_id IS NULL AND o.owner_id = a.owner_id))
    WHERE a.kind LIKE '%in_transit' AND a.balance <> coalesce(o.amount, 0)

UNION ALL SELECT 14, 'account/' || id, kind || ' is ' || balance
    FROM ledger_account WHERE balance < 0 AND NOT (kind = 'psp_clearing' AND trade_id IS NULL)
UNION ALL SELECT 14, 'database', 'the balance check is missing'
    WHERE NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = 'ck_ledger_account_balance')

UNION ALL SELECT 15, 'account/' || a.id, 'balance ' || a.balance || ', entries ' || coalesce(e.amount, 0)
    FROM ledger_account a LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM ledger_entry GROUP BY 1) AS e ON e.account_id = a.id
    WHERE a.balance <> coalesce(e.amount, 0) * CASE WHEN a.kind IN ('psp_clearing', 'receivable', 'recovery_in_transit') THEN 1 ELSE -1 END
UNION ALL SELECT DISTINCT 15, 'account/' || x.account_id, 'was below zero on the way'
    FROM (SELECT e.account_id, a.kind, sum(e.amount) OVER (PARTITION BY e.account_id ORDER BY e.id) AS running
          FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id WHERE a.kind <> 'psp_clearing' OR a.trade_id IS NOT NULL) AS x
    WHERE x.running * CASE WHEN x.kind IN ('psp_clearing', 'receivable', 'recovery_in_transit') THEN 1 ELSE -1 END < 0

UNION ALL SELECT 16, 'transaction/' || id, 'names no actor, event or reason' FROM ledger_transaction WHERE '' IN (actor, event, reason)

UNION ALL SELECT 17, 'trade/' || id, 'refunds ' || refunded || ', chargebacks ' || charged_back + disputed || ' of ' || captured
    FROM m WHERE refunded + charged_back + disputed > captured

UNION ALL SELECT 18, 'transaction/' || k.id, 'its lines are ' || coalesce(h.amount, 0) || ' of ' || abs(k.amount)
    FROM k LEFT JOIN (SELECT transaction_id, sum(amount) AS amount FROM refund_share GROUP BY 1) AS h ON h.transaction_id = k.id
    WHERE ((k.kind = 'refund' AND k.place = 'refund_in_transit') OR (k.kind = 'dispute_lost' AND k.place = 'dispute_hold'))
        AND coalesce(h.amount, 0) <> abs(k.amount)

UNION ALL SELECT 19, 'payment/' || p.id, 'instructs ' || p.amount || ', booked ' || coalesce(abs(k.amount), 0)
    FROM payment p LEFT JOIN k ON k.key = p.key AND k.place IN ('payout_in_transit', 'recovery_in_transit', 'refund_in_transit')
    WHERE p.kind <> 'capture' AND p.key NOT LIKE '%\:again' AND coalesce(abs(k.amount), 0) <> p.amount
