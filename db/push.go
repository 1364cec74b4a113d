package db

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

const (
	// DevicesOfUser is how many devices a user has at most; the one that was used longest ago gives
	// way to another.
	DevicesOfUser = 16
	// removedOfUser is how many devices that a user removed are known, and removedKept for how
	// long.
	removedOfUser = 64
	removedKept   = `interval '1 year'`
	// refusals in a row, without a message that was taken since, disable a device.
	refusals = 5
)

// ErrDeviceRemoved says that a device was removed by its user, and may come back only by them.
var ErrDeviceRemoved = errors.New("the device was removed by its user")

// Device is where a user gets push.
type Device struct {
	PushEndpoint
	UserID     string       `db:"user_id"`
	Label      string       `db:"label"`
	LastOKAt   sql.NullTime `db:"last_ok_at"`
	Failures   int          `db:"failures"`
	DisabledAt sql.NullTime `db:"disabled_at"`
}

const deviceColumns = `p.id, p.endpoint, p.p256dh, p.auth, p.key_id, coalesce(p.session_id, '') AS session_id, p.created_at,
	p.user_id, p.label, p.last_ok_at, p.failures, p.disabled_at`

// changeDevices does something in a transaction, beside which nobody adds, renews or removes
// devices of the user: what is removed while it is told anew is gone afterwards.
func changeDevices[T any](ctx context.Context, o *Deliveries, userID string, do func(context.Context, *sqlx.Tx) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	answer, err := Answer(ctx, o.store.account, func() (answer T, err error) {
		tx, err := beginOwn(ctx, o.store.pool)
		if err != nil {
			return answer, err
		}
		defer tx.Rollback()
		// A user may have no row yet that could be locked.
		if _, err := tx.ExecContext(ctx, `SELECT pg_catalog.pg_advisory_xact_lock($1::pg_catalog.int4, $2::pg_catalog.int4)`, devicesLock, devicesOf(o.store.pool, userID)); err != nil {
			return answer, err
		}
		if answer, err = do(ctx, tx); err != nil {
			return answer, err
		}
		return answer, tx.Commit()
	})
	return answer, refusedText(err)
}

// devicesOf is the second half of the key under which a user's devices are changed. Two users with
// the same one wait for each other, and no more.
func devicesOf(pool *sqlx.DB, userID string) int32 {
	hash := fnv.New32a()
	hash.Write([]byte(SchemaOf(pool) + "\x00" + userID))
	return int32(hash.Sum32())
}

// keptDevice is a device as it was kept.
type keptDevice struct {
	Device
	IsNew bool `db:"is_new"`
}

// AddDevice keeps a device of a user, and reports whether it is new. Its endpoint is what it is:
// another user's device with that is the caller's from now on, and what it waited for as the
// other's is not sent to it. renews is the id or the endpoint by which the device was known, or "",
// where it is told anew without its user's doing: with another endpoint it stays that device, and
// one that they removed is refused, by ErrDeviceRemoved. It is nil where they add it.
func (o *Deliveries) AddDevice(ctx context.Context, d Device, renews *string) (added Device, isNew bool, err error) {
	known := ""
	if renews != nil {
		known = *renews
	}
	if err := checkText([]any{d.UserID, d.SessionID, d.Endpoint, d.KeyID, d.Label, known}); err != nil {
		return d, false, err
	}
	hash := sha256.Sum256([]byte(d.Endpoint))
	kept, err := changeDevices(ctx, o, d.UserID, func(ctx context.Context, tx *sqlx.Tx) (kept keptDevice, err error) {
		// Deliveries name devices by their id: another user's goes, with what it waited for.
		_, err = tx.ExecContext(ctx, `DELETE FROM realtime.push_subscriptions WHERE endpoint_hash = $1 AND user_id <> $2`, hash[:], d.UserID)
		switch {
		case err != nil:
		case renews == nil:
			_, err = tx.ExecContext(ctx, `DELETE FROM realtime.removed_devices WHERE user_id = $1 AND endpoint_hash = $2`, d.UserID, hash[:])
		default:
			err = renewDevice(ctx, tx, d, hash[:], known)
		}
		if err == nil {
			err = tx.GetContext(ctx, &kept, keepDeviceQuery, d.UserID, d.SessionID, hash[:], d.Endpoint, d.P256dh, d.Auth, d.KeyID, d.Label)
		}
		if err == nil && kept.IsNew {
			_, err = tx.ExecContext(ctx, `DELETE FROM realtime.push_subscriptions WHERE id IN (SELECT id FROM realtime.push_subscriptions
				WHERE user_id = $1 ORDER BY id = $2 DESC, coalesce(last_ok_at, created_at) DESC OFFSET $3)`, d.UserID, kept.ID, DevicesOfUser)
		}
		return kept, err
	})
	var refused *pq.Error
	if errors.Is(err, sql.ErrNoRows) || errors.As(err, &refused) && refused.Code == pqerror.UniqueViolation {
		err = ErrConflict // another user added it at this very moment
	}
	if err != nil {
		return d, false, fmt.Errorf("keep a device: %w", err)
	}
	return kept.Device, kept.IsNew, nil
}

// keepDeviceQuery keeps a device under its endpoint, where that is no other user's.
const keepDeviceQuery = `INSERT INTO realtime.push_subscriptions AS p (user_id, session_id, endpoint_hash, endpoint, p256dh, auth, key_id, label)
	VALUES ($1, nullif($2, ''), $3, $4, $5, $6, $7, $8)
	ON CONFLICT (endpoint_hash) DO UPDATE SET session_id = excluded.session_id, p256dh = excluded.p256dh, auth = excluded.auth,
		key_id = excluded.key_id, label = coalesce(nullif(excluded.label, ''), p.label), created_at = now(), failures = 0, disabled_at = NULL
		WHERE p.user_id = excluded.user_id
	RETURNING ` + deviceColumns + `, p.xmax = 0 AS is_new`

// renewDevice has a device that was known by an id or an endpoint be found under its present one.
// It returns ErrDeviceRemoved where its user has removed it under any of these.
func renewDevice(ctx context.Context, tx *sqlx.Tx, d Device, hash []byte, known string) error {
	was := sha256.Sum256([]byte(known))
	var removed bool
	err := tx.GetContext(ctx, &removed, `SELECT EXISTS (SELECT FROM realtime.removed_devices
		WHERE user_id = $1 AND (endpoint_hash IN ($2, $3) OR id = $4))`, d.UserID, hash, was[:], known)
	if err == nil && removed {
		err = ErrDeviceRemoved
	}
	if err != nil {
		return err
	}
	// A browser has one endpoint at a time: its former one is no device any more.
	const former = `user_id = $1 AND endpoint_hash <> $2 AND (endpoint_hash = $3 OR id = $4)`
	var there bool
	if err := tx.GetContext(ctx, &there, `SELECT EXISTS (SELECT FROM realtime.push_subscriptions WHERE endpoint_hash = $1 AND user_id = $2)`, hash, d.UserID); err != nil {
		return err
	}
	if there {
		_, err = tx.ExecContext(ctx, `DELETE FROM realtime.push_subscriptions WHERE `+former, d.UserID, hash, was[:], known)
	} else {
		_, err = tx.ExecContext(ctx, `UPDATE realtime.push_subscriptions SET endpoint = $5, endpoint_hash = $2, next_at = NULL WHERE `+former, d.UserID, hash, was[:], known, d.Endpoint)
	}
	return err
}

// Devices returns a user's devices, the oldest first.
func (o *Deliveries) Devices(ctx context.Context, userID string) ([]Device, error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	list := []Device{}
	err := o.store.listFor(ctx, o.store.account, &list, always(`SELECT `+deviceColumns+` FROM realtime.push_subscriptions p WHERE p.user_id = $1 ORDER BY p.created_at, p.id`), userID)
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	return list, nil
}

// DevicesByKey counts the devices that were added under KeyID, and those under other keys, which
// get nothing.
func (o *Deliveries) DevicesByKey(ctx context.Context) (ours, others int, err error) {
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var n struct{ Ours, Others int }
	err = o.store.getFor(ctx, o.guard, &n, always(`SELECT count(*) FILTER (WHERE key_id = $1) AS ours, count(*) FILTER (WHERE key_id <> $1) AS others
		FROM realtime.push_subscriptions`), o.KeyID)
	if err != nil {
		return 0, 0, fmt.Errorf("count devices: %w", err)
	}
	return n.Ours, n.Others, nil
}

// RemoveDevice removes a user's device, until they add it again. ErrNotFound: there is none such.
func (o *Deliveries) RemoveDevice(ctx context.Context, userID, id string) error {
	if err := checkText([]any{userID, id}); err != nil {
		return err
	}
	_, err := changeDevices(ctx, o, userID, func(ctx context.Context, tx *sqlx.Tx) (none struct{}, err error) {
		gone, err := tx.ExecContext(ctx, `WITH gone AS (DELETE FROM realtime.push_subscriptions WHERE user_id = $1 AND id = $2 RETURNING id, user_id, endpoint_hash)
			INSERT INTO realtime.removed_devices (id, user_id, endpoint_hash) SELECT id, user_id, endpoint_hash FROM gone`, userID, id)
		if err != nil {
			return none, err
		}
		if n, err := gone.RowsAffected(); err != nil || n == 0 {
			return none, cmp.Or(err, ErrNotFound)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM realtime.removed_devices WHERE id IN (SELECT id FROM realtime.removed_devices
			WHERE user_id = $1 ORDER BY removed_at DESC, id OFFSET $2)`, userID, removedOfUser)
		return none, err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("remove a device: %w", err)
	}
	return err
}

// What is asked of a device for each message. Parameter: 1 device.
const (
	reserveQuery = `UPDATE realtime.push_subscriptions SET next_at = now() + pg_catalog.make_interval(secs => $2)
		WHERE id = $1 AND (next_at IS NULL OR next_at <= now())`
	reservedQuery   = `SELECT coalesce(next_at, now()) FROM realtime.push_subscriptions WHERE id = $1`
	deviceTookQuery = `UPDATE realtime.push_subscriptions SET last_ok_at = now(), failures = 0 WHERE id = $1 AND endpoint = $2 AND $3 > 0`
)

// ReserveDevice reserves a device's next message: no other message is sent to it within gap. Where
// another has it, next is when that ends. ErrNotFound: the device is no more.
func (o *Deliveries) ReserveDevice(ctx context.Context, id string, gap time.Duration) (next time.Time, err error) {
	n, err := o.exec(ctx, reserveQuery, id, gap.Seconds())
	if err != nil || n > 0 {
		return time.Time{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	err = o.store.getFor(ctx, o.guard, &next, always(reservedQuery), id)
	if errors.Is(err, sql.ErrNoRows) {
		return next, ErrNotFound
	}
	if err != nil {
		return next, fmt.Errorf("read when a device has its turn: %w", err)
	}
	return next, nil
}

// DeviceAnswer is what became of a message to a device.
type DeviceAnswer int

// What may become of a message to a device.
const (
	DeviceTook    DeviceAnswer = iota // its push service has taken it
	DeviceGone                        // its push service does not know it any more
	DeviceRefused                     // its push service did not take this message
	DeviceSilent                      // nothing is known of the device: it was not called
)

// DeviceAnswered keeps what became of a message to a device: one that is gone is removed, and one
// that was refused five times in a row is disabled. ErrConflict: the device has another endpoint
// since the message went out, of which nothing is known by that.
func (o *Deliveries) DeviceAnswered(ctx context.Context, device PushEndpoint, answer DeviceAnswer) error {
	statement := map[DeviceAnswer]string{
		DeviceTook: deviceTookQuery,
		DeviceGone: `DELETE FROM realtime.push_subscriptions WHERE id = $1 AND endpoint = $2 AND $3 > 0`,
		DeviceRefused: `UPDATE realtime.push_subscriptions SET failures = failures + 1, next_at = NULL,
			disabled_at = CASE WHEN failures + 1 >= $3 THEN coalesce(disabled_at, now()) ELSE disabled_at END WHERE id = $1 AND endpoint = $2`,
		DeviceSilent: `UPDATE realtime.push_subscriptions SET next_at = NULL WHERE id = $1 AND endpoint = $2 AND $3 > 0`,
	}[answer]
	n, err := o.exec(ctx, statement, device.ID, device.Endpoint, refusals)
	if err != nil || n > 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var renewed bool
	err = o.store.getFor(ctx, o.guard, &renewed, always(`SELECT EXISTS (SELECT FROM realtime.push_subscriptions WHERE id = $1)`), device.ID)
	if err == nil && renewed {
		err = ErrConflict
	}
	return err
}
