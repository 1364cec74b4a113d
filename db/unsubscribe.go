package db

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

const (
	// ScopeDigest is the scope of a token that ends digests.
	ScopeDigest = "digest"
	// scopeKind begins the scope of a token that ends mails of one kind of an account.
	scopeKind = "kind"
	// unsubscribeTime is for how long a token in a mail works, as an SQL interval.
	unsubscribeTime = `interval '90 days'`
)

// ScopeOfKind is the scope of a token that ends mails of a kind of an account.
func ScopeOfKind(ownerID, kind string) string { return scopeKind + " " + kind + " " + ownerID }

// tokenQuery keeps a token. Parameters: 1 its hash, 2 user, 3 scope.
const tokenQuery = `INSERT INTO realtime.unsubscribe_tokens (hash, user_id, scope, expires_at) VALUES ($1, $2, $3, now() + ` + unsubscribeTime + `)`

// UnsubscribeToken returns a secret for a mail, by which its user ends what the scope says. Only
// its SHA-256 is kept.
func (o *Deliveries) UnsubscribeToken(ctx context.Context, userID, scope string) (token string, err error) {
	var random [32]byte
	rand.Read(random[:])
	token = base64.RawURLEncoding.EncodeToString(random[:])
	hash := sha256.Sum256([]byte(token))
	_, err = o.exec(ctx, tokenQuery, hash[:], userID, scope)
	return token, err
}

// Unsubscribe ends what a token stands for; all ends every mail of its user that can be ended, of
// all accounts. Doing so again changes nothing. ErrNotFound: the token stands for nothing.
func (o *Deliveries) Unsubscribe(ctx context.Context, token string, all bool) error {
	hash := sha256.Sum256([]byte(token))
	ctx, cancel := context.WithTimeout(ctx, QueryTimeout)
	defer cancel()
	var found struct {
		UserID string `db:"user_id"`
		Scope  string `db:"scope"`
	}
	err := o.store.getFor(ctx, o.store.account, &found, always(`SELECT user_id, scope FROM realtime.unsubscribe_tokens WHERE hash = $1 AND expires_at > now()`), hash[:])
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	var accounts []Account
	if err == nil && all {
		accounts, err = o.store.Accounts(ctx, found.UserID)
	}
	if err == nil {
		_, err = Answer(ctx, o.store.account, func() (none struct{}, err error) {
			tx, err := beginOwn(ctx, o.store.pool)
			if err != nil {
				return none, err
			}
			defer tx.Rollback()
			if err := unwantedBy(found.Scope, all, accounts).write(ctx, tx, found.UserID); err != nil {
				return none, err
			}
			return none, tx.Commit()
		})
	}
	if err != nil {
		return fmt.Errorf("unsubscribe: %w", refusedText(err))
	}
	return nil
}

// unwanted is what a user gets no more: digests, and mails of kinds by account.
type unwanted struct {
	digests bool
	kinds   [][2]string // account, kind
}

// unwantedBy returns what a token stands for, or all that can be ended.
func unwantedBy(scope string, all bool, accounts []Account) (u unwanted) {
	u.digests = all || scope == ScopeDigest
	for _, account := range accounts {
		for _, kind := range NotificationKinds {
			u.kinds = append(u.kinds, [2]string{account.OwnerID, kind.Name})
		}
	}
	word, rest, _ := strings.Cut(scope, " ")
	if kind, ownerID, ok := strings.Cut(rest, " "); ok && word == scopeKind {
		u.kinds = append(u.kinds, [2]string{ownerID, kind})
	}
	return u
}

func (u unwanted) write(ctx context.Context, tx *sqlx.Tx, userID string) error {
	if u.digests {
		if _, err := tx.ExecContext(ctx, `UPDATE realtime.user_settings SET digest = 'off' WHERE user_id = $1`, userID); err != nil {
			return err
		}
	}
	for _, one := range u.kinds {
		if kind, _ := KindOf(one[1]); kind.LockedOn(ChannelMail) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO realtime.preferences (user_id, owner_id, kind, channel, mode) VALUES ($1, $2, $3, 'mail', 'off')
			ON CONFLICT (user_id, owner_id, kind, channel) DO UPDATE SET mode = excluded.mode`, userID, one[0], one[1]); err != nil {
			return err
		}
	}
	return nil
}
