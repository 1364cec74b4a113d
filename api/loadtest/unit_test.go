package loadtest

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// refusing lets nobody in.
type refusing struct{}

func (refusing) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, `{"detail":"not your account"}`)
}

func TestRead(t *testing.T) {
	full := message{id: []byte("x"), typ: []byte("t"), ownerID: []byte("7"), timestamp: 5, data: []byte(`{"bookingId":"12"}`)}
	for text, want := range map[string]message{
		`{"id":"x","type":"t","timestamp":5,"ownerId":"7","data":{"bookingId":"12"}}`:            full,
		`{"data":{"bookingId":"12"},"id":"x","type":"t","timestamp":5,"ownerId":"7"}`:            full,
		`{"id":"\u0078","type":"t","timestamp":5,"ownerId":"7","data":{"bookingId":"12"}}`:       full,
		`{ "id": "x", "type":"t", "timestamp":5, "ownerId":"7", "data": {"bookingId":"12"}}`:     full,
		`{"id":"x","type":"t","timestamp":5,"ownerId":"7","new":1,"data":{"bookingId":"12"}}`:    full,
		`{"type":"t","timestamp":5,"data":{}}`:                                                   {typ: []byte("t"), timestamp: 5, data: []byte("{}")},
		`{"type":"t","timestamp":5,"ownerId":"7","data":{"text":"\"bookingId\":\"\\\"","x":{}}}`: {typ: []byte("t"), timestamp: 5, ownerID: []byte("7"), data: []byte(`{"text":"\"bookingId\":\"\\\"","x":{}}`)},
	} {
		got, ok := read([]byte(text))
		if len(got.id) == 0 {
			got.id = nil
		}
		if len(got.ownerID) == 0 {
			got.ownerID = nil
		}
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("read(%s) = %+v, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "{", "{}", "null", `{"type":`, `{"type":"t`, `{"type":5}`, `"type"`, `{"id":"x","timestamp":1,"data":{}}`} {
		if got, ok := read([]byte(text)); ok {
			t.Errorf("read(%s) = %+v", text, got)
		}
	}
	if id := bookingID(full.data); string(id) != "12" {
		t.Errorf("its booking is %q", id)
	}
	if id := bookingID([]byte(`{"hangarId":"3"}`)); id != nil {
		t.Errorf("a booking %q out of nothing", id)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		received       []int
		begin, settled int
		want           tally
	}{
		{nil, 0, 0, tally{}},
		{nil, 2, 5, tally{lost: 3}},
		{[]int{2, 3, 4}, 2, 5, tally{}},
		{[]int{2, 3, 4, 5, 6}, 2, 5, tally{}},
		{[]int{2, 4, 6}, 2, 5, tally{lost: 1}},
		{[]int{1, 2, 2, 3}, 2, 4, tally{doubled: 1, reordered: 1}},
		{[]int{3, 2, -1, 2}, 2, 4, tally{doubled: 1, reordered: 1, unknown: 1}},
	} {
		if got := judge(c.received, c.begin, c.settled); got != c.want {
			t.Errorf("judge(%v, %d, %d) = %+v, want %+v", c.received, c.begin, c.settled, got, c.want)
		}
	}
}

func TestHistogram(t *testing.T) {
	for v := range uint64(1 << 20) {
		if b := bucketOf(v); lowest(b) > v || lowest(b+1) <= v {
			t.Fatalf("%d is in bucket %d, from %d up to %d", v, b, lowest(b), lowest(b+1))
		}
	}
	var h histogram
	if l := h.summary(); l != nil {
		t.Errorf("a summary %v of nothing", l)
	}
	for v := range 1000 {
		h.add(time.Duration(v+1) * time.Millisecond)
	}
	h.add(-time.Second)
	h.add(1 << 62)
	l := h.summary()
	for _, c := range []struct{ got, want float64 }{{l.P50, 500}, {l.P95, 951}, {l.P99, 991}} {
		if c.got > c.want || c.got < c.want*0.98 {
			t.Errorf("%s: %v instead of about %v", l, c.got, c.want)
		}
	}
	if l.Count != 1002 || l.Max != float64((1<<62)/1000)/1000 {
		t.Errorf("%s", l)
	}
}

func TestErrNamesWhatIsWrong(t *testing.T) {
	if err := (Report{Connections: 3, Compared: 2, Resynced: 1, Disconnects: map[int]int{1001: 3}}).Err(); err != nil {
		t.Error(err)
	}
	if err := (Report{Lost: 1, Doubled: 2}).Err(); err == nil || err.Error() != "1 lost, 2 doubled" {
		t.Error(err)
	}
}

func TestAcceptOf(t *testing.T) { // the example of RFC 6455, section 1.3
	if got := acceptOf("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func TestKernelIP(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F": "127.0.0.1", "00000000": "0.0.0.0",
		"00000000000000000000000001000000": "::1", "0000000000000000FFFF00000100007F": "127.0.0.1", "x": "<nil>",
	} {
		if got := fmt.Sprint(kernelIP(text)); got != want {
			t.Errorf("kernelIP(%s) = %s, want %s", text, got, want)
		}
	}
}

func TestLimitsAreNamed(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]string{
		"too many connections from your network: try again later (MAX_CONNECTIONS_PER_ADDRESS)": "LIMIT_EXEMPT, or raise MAX_CONNECTIONS_PER_ADDRESS of",
		"too many requests: wait before the next (REQUESTS_PER_MINUTE_PER_USER)":                "LIMIT_EXEMPT, or raise REQUESTS_PER_MINUTE_PER_USER of",
		"the server has as many connections as it takes: try again later (MAX_CONNECTIONS)":     "; raise MAX_CONNECTIONS of",
		"of a server that names none": "LIMIT_EXEMPT",
	} {
		if text := (&refusal{"GET /api/ws", http.StatusTooManyRequests, detail}).Error(); !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if text := (&refusal{"GET /api/ws", http.StatusForbidden, "not yours"}).Error(); strings.Contains(text, "raise") {
		t.Error(text)
	}
	var table strings.Builder
	if err := (Report{Disconnects: map[int]int{4429: 3}}).WriteTable(&table); err != nil || !strings.Contains(table.String(), "LIMIT_EXEMPT") {
		t.Errorf("%v in:\n%s", err, table.String())
	}
}
