package harness

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Client asks as the program's clients do: where a server cannot answer at this moment, it asks
// again when the server says, for as long as Timeout. A busy machine is no reason to fail.
var Client = &http.Client{Transport: retryingTransport{}}

// WithoutRetries returns the program for who takes it for an answer that the server cannot answer
// now.
func (p *Program) WithoutRetries() *Program {
	once := *p
	once.Client = http.DefaultClient
	return &once
}

// retryingTransport is http.DefaultTransport with the patience of Client.
type retryingTransport struct{}

// RoundTrip implements http.RoundTripper.
func (retryingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	until := time.Now().Add(Timeout)
	for {
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		wait, later := laterBy(response.StatusCode, response.Header)
		repeatable := request.Body == nil || request.Body == http.NoBody || request.GetBody != nil
		if !later || !repeatable || time.Now().Add(wait).After(until) {
			return response, nil
		}
		io.Copy(io.Discard, response.Body) //nolint:errcheck // so that the connection can be used again
		response.Body.Close()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-request.Context().Done():
			timer.Stop()
			return nil, request.Context().Err()
		}
		request = request.Clone(request.Context())
		if request.GetBody != nil {
			if request.Body, err = request.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// CloseIdleConnections is for http.Client's.
func (retryingTransport) CloseIdleConnections() { http.DefaultClient.CloseIdleConnections() }

// laterBy reports whether an answer says that the server cannot answer now, and when to ask again.
// What /readyz says is an answer.
func laterBy(status int, header http.Header) (wait time.Duration, later bool) {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	return time.Duration(seconds) * time.Second,
		status == http.StatusServiceUnavailable && err == nil && strings.HasPrefix(header.Get("Content-Type"), "application/problem+json")
}

// refusal is how a server refused a Wire.
type refusal struct {
	error
	wait  time.Duration // until when to ask again
	later bool
}

// patiently tries until a server answers, for as long as Timeout.
func patiently(try func() (*Wire, error)) (*Wire, error) {
	until := time.Now().Add(Timeout)
	for {
		w, err := try()
		var refused refusal
		if !errors.As(err, &refused) || !refused.later || time.Now().Add(refused.wait).After(until) {
			return w, err
		}
		<-time.After(refused.wait)
	}
}
