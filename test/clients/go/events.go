package main

import (
	"context"
	"net/http"
	"time"

	r3 "github.com/r3labs/sse/v2"
	"github.com/tmaxmax/go-sse"
)

// r3labs comes back by itself after an error; after an orderly end the caller must,
// with the id that it keeps.
func r3labs() {
	ctx, cancel := context.WithCancel(context.Background())
	current.Store(&connection{close: func() { cancel(); ended(0) }})
	client := r3.NewClient(address("/api/sse", where.last))
	client.Connection.Transport = &http.Transport{TLSClientConfig: roots}
	for name, values := range headers() {
		client.Headers[name] = values[0]
	}
	client.OnDisconnect(func(*r3.Client) { ended(0) })
	client.SubscribeRawWithContext(ctx, func(e *r3.Event) {
		if len(e.Data) > 0 {
			where.show(e.Data)
		}
	})
	endedOrderly()
}

func endedOrderly() {
	if !closing.Load() {
		ended(0)
	}
}

// tmaxmax comes back by itself after an error, as r3labs does.
func tmaxmax() {
	ctx, cancel := context.WithCancel(context.Background())
	current.Store(&connection{close: func() { cancel(); ended(0) }})
	// example: The library comes back by itself after an error, not after an orderly end
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address("/api/sse", where.last), http.NoBody)
	if err != nil {
		panic(err)
	}
	request.Header = headers()
	client := sse.Client{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: roots}},
		Backoff:    sse.Backoff{InitialInterval: 200 * time.Millisecond, MaxInterval: 2 * time.Second, MaxRetries: -1},
		OnRetry:    func(error, time.Duration) { ended(0) }, // for the test
	}
	connection := client.NewConnection(request)
	connection.Buffer(nil, 1<<20)
	connection.SubscribeToAll(func(e sse.Event) { where.show([]byte(e.Data)) })
	connection.Connect() // until an orderly end: call this again, with the id that was kept
	endedOrderly()       // for the test
	// end of example
}
