//lint:file-ignore SA1019 the library is frozen and still correct; the floor uses it the usual way

package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"nhooyr.io/websocket"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/db"
	"github.com/hangarshare/hangarshare-realtime/db/eventlog"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/realtime"
	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

// fanoutServer names, in the environment of this test binary, the server that it is to be
// instead of running tests: the fan-out is measured in a process of its own, whose memory
// and CPU time are nobody else's.
const fanoutServer = "FANOUT_SERVER"

// The servers that the fan-out benchmarks compare. All of them frame a message once and
// send the same bytes.
const (
	oursServer = "ours" // the server itself: routes, tokens, bus, sessions, writers
	// one write per message on bare sockets, without a goroutine per connection
	rawServer = "raw"
	// nhooyr.io/websocket the usual way: a goroutine, a channel and Write per connection
	libraryServer = "library"
)

func init() {
	if kind := os.Getenv(fanoutServer); kind != "" {
		if err := runFanoutServer(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// fanout is a server under measurement.
type fanout interface {
	// serve accepts connections to /api/ws?ownerId=… and, ours alone, /api/sse.
	serve(l *net.TCPListener) error
	// publish sends messages to the connections of their owners.
	publish(batch []fanoutMessage)
}

type fanoutMessage struct {
	ownerID string
	json    []byte
}

// runFanoutServer prints its address and publishes the lines "owner message" of its
// standard input until that ends.
func runFanoutServer(kind string) error {
	if cpu, err := strconv.Atoi(os.Getenv("FANOUT_CPU")); err == nil {
		if err := pin(os.Getpid(), cpu); err != nil {
			return err
		}
		runtime.GOMAXPROCS(1)
	}
	var f fanout
	switch kind {
	case oursServer:
		f = newOurs()
	case rawServer:
		f = &rawSockets{owners: map[string][]int{}}
	case libraryServer:
		f = &plainServer{owners: map[string][]chan []byte{}}
	default:
		return fmt.Errorf("%s=%s is no server", fanoutServer, kind)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- f.serve(listener.(*net.TCPListener)) }()
	fmt.Println(listener.Addr())
	// so that waiting for it occupies no thread
	if err := unix.SetNonblock(unix.Stdin, true); err != nil {
		return err
	}
	go func() { failed <- publishLines(f, os.NewFile(uintptr(unix.Stdin), "standard input")) }()
	return <-failed
}

// publishLines publishes what has come in together, the way the feed publishes what one
// read of the log brought.
func publishLines(f fanout, in io.Reader) error {
	lines := bufio.NewReaderSize(in, 256<<10)
	var batch []fanoutMessage
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what to publish: %w", err)
		}
		owner, message, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		batch = append(batch, fanoutMessage{string(owner), bytes.Clone(message)})
		waiting, _ := lines.Peek(lines.Buffered())
		if len(batch) == cap(batch) && len(batch) >= 512 || bytes.IndexByte(waiting, '\n') < 0 {
			f.publish(batch)
			batch = batch[:0]
		}
	}
}

// ours is the server without a database: its bus is published to directly.
type ours struct {
	bus    *realtime.Bus
	server *api.Server
	batch  int64
}

func newOurs() *ours {
	quiet, accounts := slog.New(slog.DiscardHandler), openAccounts{}
	o := &ours{bus: realtime.NewBus(accounts)}
	o.bus.Reset(realtime.Encoder{Epoch: realtime.NewEpoch("bench"), Location: time.UTC}, 0)
	tokens := api.NewTokens([]byte(harness.Secret))
	o.server = &api.Server{
		Stream: &stream.Server{Bus: o.bus, Accounts: accounts, Authority: tokens, Heartbeat: 20 * time.Second,
			Stall: stream.DefaultStall, Location: time.UTC, Log: quiet},
		Snapshot: &handlers.Snapshot{}, Site: http.NotFoundHandler(), Tokens: tokens, Log: quiet,
		OpenAPI: harness.OpenAPI(),
	}
	return o
}

func (o *ours) serve(l *net.TCPListener) error {
	return o.server.Serve(context.Background(), l, nil)
}

func (o *ours) publish(batch []fanoutMessage) {
	events := make([]*realtime.Event, len(batch))
	o.batch++
	for i, m := range batch {
		n := int64(i + 1)
		events[i] = &realtime.Event{Position: eventlog.Position{Batch: o.batch, TxOrder: n, ID: n}, OwnerID: m.ownerID,
			Type: realtime.BookingCreated, ID: "bench", JSON: m.json}
	}
	o.bus.Publish(events)
	o.bus.Advance(o.batch)
}

// openAccounts lets everybody see every account, none of which has a history.
type openAccounts struct{}

func (openAccounts) CanonicalOwnerID(id string) (string, error) { return id, nil }

func (openAccounts) Accounts(context.Context, string) ([]db.Account, error) { return nil, nil }

func (openAccounts) Access(context.Context, db.Caller, string) (db.Role, error) {
	return db.RoleOwner, nil
}

func (openAccounts) Last(context.Context, string) (p eventlog.Position, err error) { return p, nil }

func (openAccounts) Owner(context.Context, string, eventlog.Position, int) (eventlog.Page, error) {
	return eventlog.Page{}, eventlog.ErrHistoryGone
}

func (openAccounts) Reaches(context.Context, string, eventlog.Position) error {
	return eventlog.ErrHistoryGone
}

// rawSockets is the floor: descriptors in a list.
type rawSockets struct {
	mu     sync.RWMutex // guards owners
	owners map[string][]int
}

func (r *rawSockets) serve(l *net.TCPListener) error {
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return err
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n%s",
			textFrame([]byte(`{"type":"connection_established"}`)))
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		err = raw.Control(func(fd uintptr) {
			var own int
			if own, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
				r.mu.Lock()
				owner := request.URL.Query().Get("ownerId")
				r.owners[owner] = append(r.owners[owner], own)
				r.mu.Unlock()
			}
		})
		if err != nil {
			return err
		}
		conn.Close()
	}
}

func (r *rawSockets) publish(batch []fanoutMessage) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, m := range batch {
		frame := textFrame(m.json)
		for _, fd := range r.owners[m.ownerID] {
			writeAll(fd, frame)
		}
	}
}

// writeAll writes, and waits where the kernel's buffer is full.
func writeAll(fd int, frame []byte) {
	for len(frame) > 0 {
		n, err := unix.Write(fd, frame)
		switch err {
		case nil:
			frame = frame[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		default:
			return
		}
	}
}

// textFrame is an unmasked text frame (RFC 6455, section 5.2) of a message shorter than 64 KiB.
func textFrame(message []byte) []byte {
	if n := len(message); n >= 126 {
		return append([]byte{0x81, 126, byte(n >> 8), byte(n)}, message...)
	}
	return append([]byte{0x81, byte(len(message))}, message...)
}

// plainServer is what one writes with the library after reading its examples.
type plainServer struct {
	mu     sync.RWMutex // guards owners
	owners map[string][]chan []byte
}

// usualQueue is how many messages may wait for a connection.
const usualQueue = 256

func (u *plainServer) serve(l *net.TCPListener) error {
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, _ := url.ParseQuery(r.URL.RawQuery)
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{stream.Subprotocol},
			CompressionMode: websocket.CompressionDisabled})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		messages := make(chan []byte, usualQueue)
		u.mu.Lock()
		owner := query.Get("ownerId")
		u.owners[owner] = append(u.owners[owner], messages)
		u.mu.Unlock()
		ctx := conn.CloseRead(context.Background())
		messages <- []byte(`{"type":"connection_established"}`)
		for {
			select {
			case m := <-messages:
				writing, cancel := context.WithTimeout(ctx, 10*time.Second)
				err := conn.Write(writing, websocket.MessageText, m)
				cancel()
				if err != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}))
}

func (u *plainServer) publish(batch []fanoutMessage) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for _, m := range batch {
		for _, messages := range u.owners[m.ownerID] {
			messages <- m.json // a full queue holds the publisher up: nothing may be lost
		}
	}
}
