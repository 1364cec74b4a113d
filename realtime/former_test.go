package realtime_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/realtime"
)

// formerEpoch writes and reads positions as servers of before do: their numbers lie open. It is
// what a rolling upgrade meets.
type formerEpoch [6]byte

func newFormerEpoch(name string) (e formerEpoch) {
	sum := sha256.Sum256([]byte(name))
	copy(e[:], sum[:])
	return e
}

func (e formerEpoch) ownerTag(ownerID string) (tag [5]byte) {
	sum := sha256.Sum256(append(e[:], ownerID...))
	copy(tag[:], sum[:])
	return tag
}

func (e formerEpoch) format(ownerID string, p eventlog.Position) string {
	tag := e.ownerTag(ownerID)
	b := append(append([]byte{}, e[:]...), tag[:]...)
	b = binary.AppendUvarint(b, uint64(p.Batch))
	b = binary.AppendUvarint(b, uint64(p.ID))
	b = binary.AppendUvarint(b, uint64(p.TxOrder-p.ID))
	return base64.RawURLEncoding.EncodeToString(b)
}

func (e formerEpoch) parse(ownerID, text string) (eventlog.Position, error) {
	var p eventlog.Position
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 6+5+3 {
		return p, realtime.ErrMalformed
	}
	epoch, tag, rest := formerEpoch(b[:6]), [5]byte(b[6:11]), b[11:]
	var values [3]int64
	for i := range values {
		v, n := binary.Uvarint(rest)
		if n <= 0 || v > 1<<62 || (n > 1 && rest[n-1] == 0) {
			return p, realtime.ErrMalformed
		}
		values[i], rest = int64(v), rest[n:]
	}
	if len(rest) != 0 {
		return p, realtime.ErrMalformed
	}
	p = eventlog.Position{Batch: values[0], ID: values[1], TxOrder: values[1] + values[2]}
	if epoch != e {
		return eventlog.Position{}, realtime.ErrOtherEpoch
	}
	if tag != e.ownerTag(ownerID) {
		return eventlog.Position{}, realtime.ErrForeign
	}
	return p, nil
}

// somePositions are places that a log may have, small and large.
func somePositions(yield func(eventlog.Position) bool) {
	for _, batch := range []int64{0, 1, 7, 8853, 1<<31 - 1, 1<<48 - 1} {
		for _, id := range []int64{0, 1, 127, 128, 1 << 40, 1<<56 - 1} {
			for _, further := range []int64{0, 1, 5000, 1<<50 - 1} {
				for _, mark := range []uint32{0, 1, 1 << 31, 1<<32 - 1} {
					if !yield(eventlog.Position{Batch: batch, TxOrder: id + further, ID: id, Mark: mark}) {
						return
					}
				}
			}
		}
	}
}

// TestFormerServersUnderstandPositions has a server of before read positions of now: they are of
// another history, which has the client load its numbers again; 400 or 403 would be final. And
// positions of before are still good here.
func TestFormerServersUnderstandPositions(t *testing.T) {
	t.Parallel()
	const name = "2693022d-0c0a-4a43-9b1c-0f1ad4a6d0c4"
	now, before := realtime.NewEpoch(name), newFormerEpoch(name)
	for p := range somePositions {
		text := now.Format("42", p)
		if _, err := before.parse("42", text); !errors.Is(err, realtime.ErrOtherEpoch) {
			t.Fatalf("%+v is written %s, which a server of before takes for: %v", p, text, err)
		}
		if got, err := now.Parse("42", text); err != nil || got != p {
			t.Fatalf("%+v is written %s and read %+v, %v", p, text, got, err)
		}
		if _, err := now.Parse("43", text); !errors.Is(err, realtime.ErrForeign) {
			t.Fatalf("%s of another owner: %v", text, err)
		}
		p.Mark = 0
		if got, err := now.Parse("42", before.format("42", p)); err != nil || got != p {
			t.Fatalf("the form of before, %s, is read %+v, %v; want %+v", before.format("42", p), got, err, p)
		}
		if _, err := now.Parse("43", before.format("42", p)); !errors.Is(err, realtime.ErrForeign) {
			t.Fatalf("the form of before of another owner: %v", err)
		}
	}
}

// TestPositionsTellNoTotals looks at the texts that an owner gets: none shows the numbers in it, or
// how one follows another.
func TestPositionsTellNoTotals(t *testing.T) {
	t.Parallel()
	epoch := realtime.NewEpoch("2693022d-0c0a-4a43-9b1c-0f1ad4a6d0c4")
	bodies := map[string]eventlog.Position{}
	lengths := map[int]bool{}
	var last []byte
	changed, bits := 0, 0
	for i := range int64(2000) {
		p := eventlog.Position{Batch: 8000 + i, TxOrder: 40_000 + 3*i, ID: 40_000 + 3*i, Mark: 77}
		text := epoch.Format("42", p)
		if again := realtime.NewEpoch("2693022d-0c0a-4a43-9b1c-0f1ad4a6d0c4").Format("42", p); again != text {
			t.Fatalf("%+v is %s here and %s there", p, text, again)
		}
		body, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int64{p.Batch, p.ID} {
			for _, open := range []string{fmt.Sprint(n), string(binary.AppendUvarint(nil, uint64(n))), string(binary.BigEndian.AppendUint64(nil, uint64(n)))} {
				if len(open) > 2 && strings.Contains(string(body[6:]), open) {
					t.Errorf("%+v shows in %s", p, hex.EncodeToString(body))
				}
			}
		}
		if other, known := bodies[string(body[6:])]; known {
			t.Fatalf("%+v and %+v are written alike", p, other)
		}
		bodies[string(body[6:])] = p
		lengths[len(text)] = true
		for j := 6; j < min(len(body), len(last)) && j < 30; j++ {
			for difference := body[j] ^ last[j]; difference != 0; difference &= difference - 1 {
				changed++
			}
			bits += 8
		}
		last = body
	}
	if share := float64(changed) / float64(bits); share < 0.4 || share > 0.6 {
		t.Errorf("from one position to the next %.2f of the bits change, want about half", share)
	}
	if len(lengths) > 4 {
		t.Errorf("texts have %d lengths", len(lengths))
	}
}

// TestChangedPositionsAreRefused changes every character of a position: none is taken for another
// place of the same owner.
func TestChangedPositionsAreRefused(t *testing.T) {
	t.Parallel()
	epoch := realtime.NewEpoch("2693022d-0c0a-4a43-9b1c-0f1ad4a6d0c4")
	text := epoch.Format("42", eventlog.Position{Batch: 8853, TxOrder: 40_001, ID: 40_000, Mark: 123456})
	for i := range text {
		for _, c := range "ABCdef019-_" {
			if rune(text[i]) == c {
				continue
			}
			wrong := text[:i] + string(c) + text[i+1:]
			if p, err := epoch.Parse("42", wrong); err == nil {
				t.Errorf("%s is taken for %+v", wrong, p)
			}
		}
	}
}
