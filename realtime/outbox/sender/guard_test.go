package sender

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// TestEndpointsAreOfPushServices tries addresses that a user may give.
func TestEndpointsAreOfPushServices(t *testing.T) {
	t.Parallel()
	hosts, err := NewHosts([]string{"push.portal.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{
		"https://fcm.googleapis.com/fcm/send/abc:def", "https://jmt17.google.com/fcm/send/abc:def", "https://updates.push.services.mozilla.com/wpush/v2/gAAA", "https://web.push.apple.com/QGuQ",
		"https://wns2-by3p.notify.windows.com/w/?token=AwYAAA", "https://FCM.googleapis.com:443/x", "https://push.portal.example:8443/up?token=1",
	} {
		if _, err := hosts.Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "x", "http://fcm.googleapis.com/x", "ftp://fcm.googleapis.com/x", "https://user:secret@fcm.googleapis.com/x", "https://fcm.googleapis.com@127.0.0.1/",
		"https://fcm.googleapis.com:8443/x", "https://fcm.googleapis.com:22/", "https://push.portal.example/x", "https://push.portal.example:9090/x",
		"https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://[64:ff9b::7f00:1]/",
		"https://0/", "https://2130706433/", "https://localhost/", "https://fcm.googleapis.com.evil.example/", "https://evilfcm.googleapis.com/",
		"https://notify.windows.com.evil.example/", "https://.notify.windows.com/", "https://fcm.googleapis.com/x#fragment", "https://fcm.googleapis.com%2f@evil.example/", "https:fcm.googleapis.com",
		"https://fcm.googleapis.com/" + strings.Repeat("a", 3<<10),
	} {
		if _, err := hosts.Check(bad); !errors.Is(err, ErrEndpoint) {
			t.Errorf("%.80s: %v", bad, err)
		}
	}
	for _, own := range []string{"https://push.example", "push.example/x", "user@push.example", "*.example", "", "push.example:"} {
		if _, err := NewHosts([]string{own}); err == nil && own != "push.example:" {
			t.Errorf("PUSH_HOSTS=%q is taken", own)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"142.250.78.10", "2607:f8b0:4008:80d::200a", "::ffff:142.250.78.10"} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("%s is refused", text)
		}
	}
	for _, text := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1",
		"198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd12::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1", "4000::1",
	} {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("%s passes", text)
		}
	}
}

// TestNamesThatLeadHome asks a resolver that answers by a public address first, and by a private
// one when it is asked again: the address that is connected to is what counts.
func TestNamesThatLeadHome(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	go func() {
		if conn, err := inner.Accept(); err == nil {
			conn.Close()
			reached <- struct{}{}
		}
	}()
	var asked atomic.Int32
	resolver := fakeDNS(t, func() [4]byte {
		if asked.Add(1) == 1 {
			return [4]byte{192, 0, 2, 1}
		}
		return [4]byte{127, 0, 0, 1}
	})
	hosts, err := NewHosts(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := hosts.Client(resolver)
	defer client.CloseIdleConnections()
	if client.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy of the environment would look names up elsewhere")
	}
	_, port, _ := net.SplitHostPort(inner.Addr().String())
	for _, address := range []string{"https://fcm.googleapis.com/", "https://fcm.googleapis.com/", "https://fcm.googleapis.com:" + port + "/", "https://127.0.0.1:" + port + "/", "https://[::1]/"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		if !errors.Is(err, ErrPrivate) {
			t.Errorf("%s: %v", address, err)
		}
		cancel()
	}
	if asked.Load() == 0 {
		t.Error("the resolver was not asked")
	}
	select {
	case <-reached:
		t.Error("a private address was connected to")
	default:
	}
}

// fakeDNS returns a resolver that asks a name server on this machine, which answers every question
// by one address.
func fakeDNS(t *testing.T, address func() [4]byte) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { server.Close(); <-done })
	go func() {
		defer close(done)
		packet := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			var question dnsmessage.Message
			if question.Unpack(packet[:n]) != nil || len(question.Questions) == 0 {
				continue
			}
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true, RecursionAvailable: true}, Questions: question.Questions}
			if q := question.Questions[0]; q.Type == dnsmessage.TypeA {
				answer.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0}, Body: &dnsmessage.AResource{A: address()}}}
			}
			packed, err := answer.Pack()
			if err == nil {
				server.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}
