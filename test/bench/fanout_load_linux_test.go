package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hangarshare/hangarshare-realtime/test/harness"
)

const (
	// fanoutPayload is the size of a message, in bytes.
	fanoutPayload = 300
	// sampleEvery is how many deliveries are counted for one whose latency is taken.
	sampleEvery = 20
	// publishPause is how long a publisher with a rate rests between two looks at the clock: what
	// is due by then goes out.
	publishPause = time.Millisecond
)

// fanoutRun is one server in a process of its own and the connections to it.
type fanoutRun struct {
	tb      testing.TB
	process *exec.Cmd
	lines   *bufio.Writer
	input   io.Closer
	address unix.SockaddrInet4
	base    procUsage // before the first connection
	kind    string

	poll      int // epoll(7)
	clients   []*fanoutClient
	perOwner  []int    // connections
	published []uint64 // by owner
	expected  uint64
	reading   sync.WaitGroup
	wake      chan struct{}

	delivered, lost, doubled, gone atomic.Uint64
	sampling                       atomic.Bool
	mu                             sync.Mutex // guards samples
	samples                        []time.Duration
}

// startFanout starts a server, on the last processor; this process keeps to the first.
func startFanout(tb testing.TB, kind string) *fanoutRun {
	tb.Helper()
	r := &fanoutRun{tb: tb, kind: kind, wake: make(chan struct{}, 1)}
	r.process = exec.Command(os.Args[0])
	r.process.Env = append(os.Environ(), fanoutServer+"="+kind)
	if cpus := runtime.NumCPU(); cpus > 1 {
		r.process.Env = append(r.process.Env, "FANOUT_CPU="+strconv.Itoa(cpus-1))
		keepTo(tb, 0)
	}
	r.process.Stderr = os.Stderr
	input, err := r.process.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	output, err := r.process.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := r.process.Start(); err != nil {
		tb.Fatal(err)
	}
	r.input, r.lines = input, bufio.NewWriterSize(input, 64<<10)
	tb.Cleanup(r.stop)
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		tb.Fatalf("the %s server does not say its address: %v", kind, err)
	}
	_, port, _ := strings.Cut(strings.TrimSpace(address), ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		tb.Fatal(err)
	}
	r.address = unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}
	if r.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		tb.Fatal(err)
	}
	r.base = r.usage()
	return r
}

// stop ends the server by ending its input, and then everything else.
func (r *fanoutRun) stop() {
	if r.process == nil {
		return
	}
	r.input.Close()
	r.process.Wait()
	r.process = nil
	r.reading.Wait()
	for _, c := range r.clients {
		unix.Close(c.fd)
	}
	unix.Close(r.poll)
}

// procUsage is what the kernel says of a process.
type procUsage struct {
	rssKiB int
	cpu    time.Duration
}

func (r *fanoutRun) usage() (u procUsage) {
	folder := "/proc/" + strconv.Itoa(r.process.Process.Pid)
	status, err := os.ReadFile(folder + "/status")
	if err != nil {
		r.tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			u.rssKiB, _ = strconv.Atoi(fields[1])
		}
	}
	stat, err := os.ReadFile(folder + "/stat")
	if err != nil {
		r.tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	const tick = 10 * time.Millisecond // USER_HZ
	for _, field := range strings.Fields(rest)[11:13] {
		ticks, _ := strconv.Atoi(field)
		u.cpu += time.Duration(ticks) * tick
	}
	return u
}

// connect opens connections up to a number, spread over owners, and reads them from then on.
func (r *fanoutRun) connect(transport string, connections, owners int) {
	r.tb.Helper()
	token := harness.TokenFor(r.tb, "7", time.Hour)
	first := len(r.clients)
	opened := make([]*fanoutClient, connections)
	var next atomic.Int64
	next.Store(int64(first))
	var dialling sync.WaitGroup
	for range 16 {
		dialling.Go(func() {
			for i := int(next.Add(1)) - 1; i < connections; i = int(next.Add(1)) - 1 {
				c, err := r.dial(transport, i%owners, token)
				if err != nil {
					r.tb.Errorf("connection %d to %s: %v", i, r.kind, err)
					return
				}
				opened[i] = c
			}
		})
	}
	dialling.Wait()
	if r.tb.Failed() {
		r.tb.FailNow()
	}
	if first == 0 {
		r.published, r.perOwner = make([]uint64, owners), make([]int, owners)
	}
	r.clients = append(r.clients, opened[first:]...)
	for i := first; i < connections; i++ {
		c := r.clients[i]
		r.perOwner[c.owner]++
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(r.poll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
			r.tb.Fatal(err)
		}
	}
}

// dial opens a connection and reads its first message.
func (r *fanoutRun) dial(transport string, owner int, token string) (*fanoutClient, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	timeout := unix.NsecToTimeval(harness.Timeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &r.address); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	head := "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if transport == "sse" {
		head = "Accept: text/event-stream\r\n"
	}
	request := fmt.Sprintf("GET /api/%s?ownerId=%d HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s\r\n", transport, owner, token, head)
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		return nil, err
	}
	var got []byte
	buffer := make([]byte, 4096)
	for !bytes.Contains(got, []byte("connection_established")) || !bytes.HasSuffix(got, []byte("}")) && transport == "ws" {
		n, err := unix.Read(fd, buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return nil, fmt.Errorf("handshake ended after %q: %v", got, err)
		}
		got = append(got, buffer[:n]...)
	}
	return &fanoutClient{fd: fd, owner: owner, webSocket: transport == "ws"}, unix.SetNonblock(fd, true)
}

// message appends the line that publishes the next message of an owner, stamped with the
// time at which it is due.
func (r *fanoutRun) message(b []byte, owner int, due time.Time) []byte {
	r.published[owner]++
	r.expected += uint64(r.perOwner[owner])
	b = strconv.AppendInt(b, int64(owner), 10)
	start := len(b) + 1
	b = fmt.Appendf(b, ` {"id":"@%010d.%016d","type":"booking_created","data":"`, r.published[owner], due.UnixMicro())
	for len(b)-start < fanoutPayload-2 {
		b = append(b, 'x')
	}
	return append(b, "\"}\n"...)
}

// saturate publishes to the owners in turn, with a number of messages on their way at any time.
func (r *fanoutRun) saturate(window int, until time.Time) {
	var line []byte
	perMessage := uint64(len(r.clients) / len(r.published))
	for owner := 0; time.Now().Before(until); owner = (owner + 1) % len(r.published) {
		for r.expected-r.delivered.Load() >= uint64(window)*perMessage && time.Now().Before(until) {
			r.lines.Flush()
			select {
			case <-r.wake:
			case <-time.After(time.Until(until)):
			}
		}
		line = r.message(line[:0], owner, time.Now())
		r.lines.Write(line)
	}
	r.lines.Flush()
}

// steadily publishes to the owners in turn at a rate in messages a second, or as fast as
// the server takes them.
func (r *fanoutRun) steadily(rate float64, until time.Time) {
	var line []byte
	start, owner := time.Now(), 0
	for sent := 0; time.Now().Before(until); time.Sleep(publishPause) {
		for ; float64(sent) < time.Since(start).Seconds()*rate && time.Now().Before(until); sent++ {
			line = r.message(line[:0], owner, start.Add(time.Duration(float64(sent)/rate*float64(time.Second))))
			r.lines.Write(line)
			owner = (owner + 1) % len(r.published)
		}
		r.lines.Flush()
	}
}

// fanoutResult is what a measurement found.
type fanoutResult struct {
	perSecond     float64
	cpuPerMillion float64 // seconds of the server's CPU time
	p50, p99      time.Duration
	lost, doubled uint64
}

// measure publishes for a while, waits for the last deliveries, and returns what came of it. The
// first fifth of the time is for warming up.
func (r *fanoutRun) measure(duration time.Duration, publish func(until time.Time)) fanoutResult {
	r.tb.Helper()
	if r.delivered.Load() == 0 {
		r.reading.Go(r.read)
	}
	publish(time.Now().Add(duration / 5))
	r.settle()
	before, delivered, start := r.usage(), r.delivered.Load(), time.Now()
	r.mu.Lock()
	r.samples = r.samples[:0]
	r.mu.Unlock()
	r.sampling.Store(true)
	publish(start.Add(duration))
	r.settle()
	r.sampling.Store(false)
	after, took := r.usage(), time.Since(start)
	n := float64(r.delivered.Load() - delivered)
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.samples)
	at := func(share float64) time.Duration { return r.samples[int(share*float64(len(r.samples)-1))] }
	result := fanoutResult{perSecond: n / took.Seconds(), cpuPerMillion: (after.cpu - before.cpu).Seconds() / n * 1e6,
		lost: r.expected - r.delivered.Load(), doubled: r.doubled.Load()}
	if len(r.samples) > 0 {
		result.p50, result.p99 = at(0.50), at(0.99)
	}
	if gone := r.gone.Load(); gone > 0 || result.lost > 0 || result.doubled > 0 {
		r.tb.Errorf("%s: %d connections ended, %d messages lost, %d doubled", r.kind, gone, result.lost, result.doubled)
	}
	return result
}

// settle waits until everything has arrived, or nothing has for a while.
func (r *fanoutRun) settle() {
	for {
		delivered := r.delivered.Load()
		if delivered >= r.expected {
			return
		}
		select {
		case <-r.wake:
		case <-time.After(harness.Timeout):
			if r.delivered.Load() == delivered {
				return
			}
		}
	}
}
