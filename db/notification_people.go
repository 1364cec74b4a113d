package db

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// Managers returns the users who own accounts, by account.
func (n *Notices) Managers(ctx context.Context, ownerIDs []string) (map[string][]string, error) {
	var rows []struct {
		OwnerID string `db:"owner_id"`
		UserID  string `db:"user_id"`
	}
	if err := n.list(ctx, &rows, func(q *notificationQueries) string { return q.managers }, pq.Array(ownerIDs)); err != nil {
		return nil, fmt.Errorf("read who owns accounts: %w", err)
	}
	found := make(map[string][]string)
	for _, r := range rows {
		found[r.OwnerID] = append(found[r.OwnerID], r.UserID)
	}
	return found, nil
}

// Home returns the account in which a user finds what is theirs alone: their own, or else the first
// that was shared with them; "" where they have none.
func (n *Notices) Home(ctx context.Context, userID string) (string, error) {
	accounts, err := n.store.Accounts(ctx, userID)
	if err != nil || len(accounts) == 0 {
		return "", err
	}
	return accounts[0].OwnerID, nil
}

// Invitations returns the open invitations that their users were not told of, and ends what was
// told of those that are closed.
func (n *Notices) Invitations(ctx context.Context) (happened []Happening, ended []EndedGroup, err error) {
	var rows []struct {
		ID        string
		OwnerID   string `db:"owner_id"`
		Role      string
		InvitedBy string    `db:"invited_by"`
		CreatedAt time.Time `db:"created_at"`
		UserID    string    `db:"user_id"`
	}
	if err := n.list(ctx, &rows, func(q *notificationQueries) string { return q.invited }); err != nil {
		return nil, nil, fmt.Errorf("read whom invitations are for: %w", err)
	}
	told, err := n.conditions(ctx, KindInvitation)
	if err != nil {
		return nil, nil, err
	}
	open := map[string]bool{}
	for _, r := range rows {
		group := GroupOf(KindInvitation, r.ID)
		open[group] = true
		if _, known := told[group]; known {
			continue
		}
		home, err := n.Home(ctx, r.UserID)
		if err != nil {
			return nil, nil, err
		}
		if home == "" || home == r.OwnerID {
			continue
		}
		happened = append(happened, Happening{OwnerID: home, UserID: r.UserID, Kind: KindInvitation, Key: fmt.Sprintf("%s@%d", group, r.CreatedAt.UnixMicro()), Subject: r.ID,
			Facts: RuleFacts{AccountID: r.OwnerID, InvitationID: r.ID, MemberID: r.InvitedBy, Role: r.Role}, At: r.CreatedAt})
	}
	for group, owners := range told {
		if !open[group] {
			for _, id := range owners {
				ended = append(ended, EndedGroup{id, group})
			}
		}
	}
	return happened, ended, nil
}
