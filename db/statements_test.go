package db_test

import "testing"

// TestColumnGoesAfterALook drops a column right after the shape of the tables was looked at: who
// asks in the pause before the next look waits for it, and gets no error.
func TestColumnGoesAfterALook(t *testing.T) {
	t.Parallel()
	b := newProjectionFixture(t)
	for _, statement := range []string{
		`ALTER TABLE hangar_listings DROP COLUMN total_spaces`,
		`ALTER TABLE hangar_listings ADD COLUMN total_spaces integer DEFAULT 1`,
		`ALTER TABLE hangar_listings DROP COLUMN total_spaces`,
	} {
		_, err := b.store.Reshape(t.Context())
		must(t, err)
		b.Exec(t, statement)
		_, err = b.store.Dashboard(t.Context(), b.owner.ID, b.now)
		must(t, err)
	}
}
