// Command clients is other people's WebSocket and event stream libraries for Go against the server:
// the first argument names one. The task comes by environment, what is seen goes to standard
// output, a line of JSON each.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	base, owner, token, way = os.Getenv("BASE"), os.Getenv("OWNER"), os.Getenv("TOKEN"), os.Getenv("WAY")

	closing atomic.Bool
	printer sync.Mutex
	roots   = trusted()
)

// connection is what the test may ask of an open one; ping may be missing.
type connection struct{ ping, close func() }

var current atomic.Pointer[connection]

func main() {
	clients := map[string]func(){
		"coder": coder, "gorilla": gorilla, "gobwas": gobwas, "xnet": xnet, "r3labs": r3labs, "tmaxmax": tmaxmax,
	}
	go obey()
	run := clients[os.Args[1]]
	for !closing.Load() {
		run()
		time.Sleep(rand.N(time.Second)) // all who were cut must not come back at once
	}
}

// obey does what the test says.
func obey() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		c := current.Load()
		switch {
		case c == nil:
		case lines.Text() == "ping" && c.ping != nil:
			c.ping()
		case lines.Text() == "close":
			closing.Store(true)
			c.close()
		}
	}
}

func tell(what any) {
	printer.Lock()
	defer printer.Unlock()
	json.NewEncoder(os.Stdout).Encode(what)
}

func ended(code int) { tell(map[string]any{"ended": code}) }

// place follows a stream: the id after which it goes on.
type place struct{ last string }

func (p *place) show(text []byte) {
	var m struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			LastEventID string `json:"lastEventId"`
		} `json:"data"`
	}
	if json.Unmarshal(text, &m) != nil {
		return
	}
	if m.Type == "connection_established" {
		p.last = m.Data.LastEventID
	}
	if m.ID != "" {
		p.last = m.ID
	}
	tell(map[string]any{"got": json.RawMessage(text)})
}

func address(path, last string) string {
	return fmt.Sprintf("%s%s?ownerId=%s&lastEventId=%s", base, path, owner, url.QueryEscape(last))
}

func webSocketAddress(last string) string {
	return strings.Replace(address("/api/ws", last), "http", "ws", 1)
}

func headers() http.Header {
	switch way {
	case "header":
		return http.Header{"Authorization": {"Bearer " + token}}
	case "cookie":
		return http.Header{"Cookie": {"jwt=" + token}}
	}
	return http.Header{}
}

func protocols() []string {
	if way == "protocol" {
		return []string{"hangarshare.v1", "bearer." + token}
	}
	return []string{"hangarshare.v1"}
}

// first is the message that carries the token, "" where it comes otherwise.
func first() string {
	if way != "message" {
		return ""
	}
	text, _ := json.Marshal(map[string]string{"type": "auth", "ownerId": owner, "token": token})
	return string(text)
}

func trusted() *tls.Config {
	file := os.Getenv("CA_FILE")
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: pool}
}
