package realtime

import (
	"errors"
	"math"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
)

func TestPositionText(t *testing.T) {
	t.Parallel()
	epoch := NewEpoch("one")
	for _, p := range []eventlog.Position{{}, {Batch: 1}, {Batch: 7, TxOrder: 9, ID: 9}, {Batch: 7, TxOrder: 9, ID: 8}, {Batch: math.MaxInt32, TxOrder: 1 << 40, ID: 1 << 39}} {
		text := epoch.Format("42", p)
		if got, err := epoch.Parse("42", text); err != nil || got != p {
			t.Errorf("%v is written %s and read %v (%v)", p, text, got, err)
		}
		if _, err := epoch.Parse("43", text); !errors.Is(err, ErrForeign) {
			t.Errorf("another owner's position gives %v", err)
		}
		if _, err := NewEpoch("two").Parse("42", text); !errors.Is(err, ErrOtherEpoch) {
			t.Errorf("another epoch's position gives %v", err)
		}
		for _, wrong := range []string{text + "A", text[:len(text)-1], "x" + text, text + "=", " " + text, ""} {
			if got, err := epoch.Parse("42", wrong); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOtherEpoch) {
				t.Errorf("%q is read as %v (%v)", wrong, got, err)
			}
		}
	}
}

// TestPositionIsSealedInOneAllocation counts what a position's text takes beside the text: each
// event and each new answer has one.
func TestPositionIsSealedInOneAllocation(t *testing.T) {
	epoch, position := NewEpoch("one"), eventlog.Position{Batch: 7, TxOrder: 9, ID: 9}
	content := &sealed{}
	content.put(position, epoch.ownerTag("42"))
	if n := testing.AllocsPerRun(10_000, func() { epoch.cipher.encrypt(content) }); n > 1 {
		t.Errorf("sealing allocates %v times", n)
	}
	if n := testing.AllocsPerRun(10_000, func() { epoch.cipher.decrypt(content) }); n > 1 {
		t.Errorf("opening allocates %v times", n)
	}
}
