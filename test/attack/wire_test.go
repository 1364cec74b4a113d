package attack

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// streamTime is how long an event stream is read.
const streamTime = 300 * time.Millisecond

// answer is what came back to a request. Its status is 0 where nothing that is HTTP did.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// request writes a request by HTTP/1.1 for localhost, after which the connection
// ends. header holds whole lines; one that begins with "Host:" takes the place of
// ours. The body is what follows an empty line.
func request(method, target string, header ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, target)
	host, body := "Host: localhost", ""
	for i, line := range header {
		if line == "" {
			body = strings.Join(header[i+1:], "")
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
			break
		}
		if strings.HasPrefix(line, "Host:") {
			host = line
			continue
		}
		b.WriteString(line + "\r\n")
	}
	b.WriteString(host + "\r\nConnection: close\r\n\r\n" + body)
	return b.String()
}

// send writes bytes on a connection of its own and reads the answer.
func (a *attackSetup) send(s *server, text string) answer { return a.sendFrom(s, "", text) }

func (a *attackSetup) sendFrom(s *server, from, text string) (got answer) {
	conn, err := s.dial(from)
	if err != nil {
		return answer{err: err}
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		got.err = err // it may have answered all the same
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		conn.SetDeadline(time.Now().Add(streamTime)) // it may have no end
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return answer{response.StatusCode, response.Header, string(body), err}
}

// get asks with a token.
func (a *attackSetup) get(token, target string) answer {
	return a.send(a.plain, request("GET", target, "Authorization: Bearer "+token))
}

// judge counts a case and holds an answer to what is true of each: no 5xx, nothing
// of the victim's, no stack, no SQL.
func (a *attackSetup) judge(area, what string, got answer) answer {
	a.t.Helper()
	a.count(area, 1)
	// a method or version of HTTP that is none
	if got.status >= 500 && !(got.status == 501 || got.status == 505) {
		a.t.Errorf("%.200q is answered by %d %.300s", what, got.status, got.body)
	}
	for _, leak := range []string{marker, "goroutine ", "pq:", "SQLSTATE", "SELECT ", harness.Secret, "root:x:0"} {
		if strings.Contains(got.body, leak) {
			a.t.Errorf("%.200q is answered by %d with %q: %.300s", what, got.status, leak, got.body)
		}
	}
	return got
}

// refused is judge for what must not be served.
func (a *attackSetup) refused(area, what string, got answer) {
	a.t.Helper()
	a.judge(area, what, got)
	if got.status < 400 && got.status != 0 {
		a.t.Errorf("%.200q is answered by %d: %.300s", what, got.status, got.body)
	}
}

func (a *attackSetup) count(area string, n int) {
	a.tried.mu.Lock()
	defer a.tried.mu.Unlock()
	a.tried.counts[area] += n
}

// some returns one of n inputs in the short form, spread over all, and all of them in the full one.
func some[T any](a *attackSetup, n int, list []T) []T {
	if a.full || n <= 1 {
		return list
	}
	var part []T
	for i := 0; i < len(list); i += n {
		part = append(part, list[i])
	}
	return part
}

// atOnce does something to each of a list, many at a time: some of them have the server wait.
func atOnce[T any](list []T, do func(T)) {
	next := make(chan T)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for one := range next {
				do(one)
			}
		})
	}
	for _, one := range list {
		next <- one
	}
	close(next)
	all.Wait()
}
