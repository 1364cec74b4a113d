package loadtest

import (
	"encoding/hex"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// clockTicks is the unit of CPU times in /proc, per second (proc(5); the same on every Linux).
const clockTicks = 100

// Server is what a server's process used, as far as this machine can see it.
type Server struct {
	PID              int     `json:"pid"`
	BeforeKiB        int64   `json:"rssBeforeKiB"`    // resident memory before the connections
	ConnectedKiB     int64   `json:"rssConnectedKiB"` // with all of them open
	AfterKiB         int64   `json:"rssAfterKiB"`     // at the end of the measurement
	PerConnectionKiB float64 `json:"perConnectionKiB"`
	CPUSeconds       float64 `json:"cpuSeconds"` // during the measurement
	CPUPerMillion    float64 `json:"cpuSecondsPerMillionDeliveries,omitempty"`
}

// watched follows one process; nothing when there is none.
type watched struct {
	Server
	cpu float64
}

func watch(pid int) *watched {
	w := &watched{Server: Server{PID: pid}}
	w.BeforeKiB, _ = usage(pid)
	return w
}

func (w *watched) connected() { w.ConnectedKiB, w.cpu = usage(w.PID) }

func (w *watched) measured() {
	rss, cpu := usage(w.PID)
	w.AfterKiB, w.CPUSeconds = rss, cpu-w.cpu
}

func (w *watched) report(r *Report) {
	if w.BeforeKiB == 0 || w.AfterKiB == 0 {
		return // it cannot be seen, or has ended
	}
	s := w.Server
	s.PerConnectionKiB = float64(s.ConnectedKiB-s.BeforeKiB) / float64(r.Connections)
	if r.Deliveries > 0 {
		s.CPUPerMillion = s.CPUSeconds / float64(r.Deliveries) * 1e6
	}
	r.Server = &s
}

// usage returns a process's resident memory and the CPU time it has used; zeros
// where they cannot be known.
func usage(pid int) (rssKiB int64, cpuSeconds float64) {
	if pid <= 0 {
		return 0, 0
	}
	folder := "/proc/" + strconv.Itoa(pid)
	status, _ := os.ReadFile(folder + "/status")
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			rssKiB, _ = strconv.ParseInt(fields[1], 10, 64)
		}
	}
	stat, _ := os.ReadFile(folder + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ") // the program's name may hold spaces
	if fields := strings.Fields(rest); len(fields) > 12 {
		for _, field := range fields[11:13] { // user and system
			ticks, _ := strconv.ParseFloat(field, 64)
			cpuSeconds += ticks / clockTicks
		}
	}
	return rssKiB, cpuSeconds
}

// listeningProcess returns the process that listens at an address of this machine,
// 0 where it cannot be found.
func listeningProcess(address *url.URL) int {
	_, port, err := net.SplitHostPort(authority(address))
	if err != nil {
		return 0
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	ips := []net.IP{net.IPv4zero, net.IPv6zero, net.ParseIP(address.Hostname())}
	if address.Hostname() == "localhost" {
		ips = append(ips, net.IPv4(127, 0, 0, 1), net.IPv6loopback)
	}
	var sockets []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(table)
		for line := range strings.Lines(string(text)) {
			const local, state, inode = 1, 3, 9
			fields := strings.Fields(line)
			if len(fields) <= inode || fields[state] != "0A" { // listening
				continue
			}
			ip, at, _ := strings.Cut(fields[local], ":")
			if n, err := strconv.ParseUint(at, 16, 16); err == nil && n == number &&
				slices.ContainsFunc(ips, func(want net.IP) bool { return want != nil && want.Equal(kernelIP(ip)) }) {
				sockets = append(sockets, "socket:["+fields[inode]+"]")
			}
		}
	}
	if len(sockets) == 0 {
		return 0
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && slices.Contains(sockets, target) {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			return pid
		}
	}
	return 0
}

// kernelIP reads an address as the kernel prints it: words of four bytes, each in
// the order of a little machine.
func kernelIP(text string) net.IP {
	ip, err := hex.DecodeString(text)
	if err != nil || len(ip)%4 != 0 {
		return nil
	}
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word)
	}
	return ip
}
