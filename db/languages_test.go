package db_test

import (
	"testing"
	"time"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestAnotherLanguageNeedsNoMigration keeps a language that is not known here, and takes everything
// out of the database nevertheless.
func TestAnotherLanguageNeedsNoMigration(t *testing.T) {
	t.Parallel()
	p := dbtest.New(t)
	owner := p.AddOwner(t, 1)
	store, err := db.NewStore(t.Context(), p.Pool, time.UTC)
	must(t, err)
	settings := db.UserSettings{Lang: "fr", Digest: "off", DigestAt: "08:00"}
	must(t, store.SetUserSettings(t.Context(), owner.UserID, settings))
	if kept, err := store.UserSettings(t.Context(), owner.UserID); err != nil || kept.Lang != "fr" {
		t.Errorf("kept %+v (%v)", kept, err)
	}
	must(t, db.Unmigrate(t.Context(), p.URL, quiet))
}
