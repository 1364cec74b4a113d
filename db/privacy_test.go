package db_test

import (
	"slices"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/dbtest"
)

// TestPrivacyKnowsEveryTable holds what an export and an erasure go through to the tables that are
// installed.
func TestPrivacyKnowsEveryTable(t *testing.T) {
	t.Parallel()
	var installed []string
	err := dbtest.New(t).Pool.Select(&installed, `SELECT relname FROM pg_class WHERE relnamespace = 'realtime'::regnamespace AND relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	known := db.PrivacyTables()
	for _, table := range installed {
		if !slices.Contains(known, table) {
			t.Errorf("an erasure does not know the table %s: what of it is a person's belongs into traces of db/privacy.go, else why not into impersonal", table)
		}
	}
	for _, table := range known {
		if !slices.Contains(installed, table) {
			t.Errorf("there is no table %s", table)
		}
	}
	if len(known) != len(installed) {
		t.Errorf("%d tables are known, some twice; %d are installed", len(known), len(installed))
	}
}
