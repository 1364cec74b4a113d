package main

import (
	"context"
	"net/http"
	"time"

	coderws "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorillaws "github.com/gorilla/websocket"
	xnetws "golang.org/x/net/websocket"
)

var where place

func coder() {
	ctx := context.Background()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: roots}}
	// example: `headers()` holds Authorization, as Bearer and the token; call this in a loop with a random pause
	conn, _, err := coderws.Dial(ctx, webSocketAddress(where.last), &coderws.DialOptions{
		HTTPHeader: headers(), Subprotocols: protocols(), HTTPClient: client})
	if err != nil {
		return // 401 and 403 are final: the response says so
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	watchCoder(ctx, conn) // for the test
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			// coderws.CloseStatus(err): 4400, 4401 and 4403 are final
			endedCoder(err) // for the test
			return
		}
		where.show(text) // keeps lastEventId of connection_established, then each id
	}
	// end of example
}

// watchCoder does with a connection what the test says.
func watchCoder(ctx context.Context, conn *coderws.Conn) {
	current.Store(&connection{
		ping: func() {
			if conn.Ping(ctx) == nil {
				tell(map[string]bool{"pong": true})
			}
		},
		close: func() {
			if conn.Close(coderws.StatusNormalClosure, "") == nil {
				ended(1000)
			}
		}})
	if text := first(); text != "" {
		conn.Write(ctx, coderws.MessageText, []byte(text))
	}
}

func endedCoder(err error) {
	if !closing.Load() {
		ended(max(0, int(coderws.CloseStatus(err))))
	}
}

func gorilla() {
	dialer := gorillaws.Dialer{TLSClientConfig: roots, Subprotocols: protocols(), HandshakeTimeout: 10 * time.Second}
	conn, _, err := dialer.Dial(webSocketAddress(where.last), headers())
	if err != nil {
		return // 401 and 403 are final: the response says so
	}
	defer conn.Close()
	conn.SetPongHandler(func(string) error { tell(map[string]bool{"pong": true}); return nil })
	current.Store(&connection{
		ping: func() { conn.WriteControl(gorillaws.PingMessage, nil, time.Now().Add(time.Second)) },
		close: func() {
			conn.WriteControl(gorillaws.CloseMessage, gorillaws.FormatCloseMessage(1000, ""), time.Now().Add(time.Second))
		}})
	if text := first(); text != "" {
		conn.WriteMessage(gorillaws.TextMessage, []byte(text))
	}
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			code := 0
			if closed, ok := err.(*gorillaws.CloseError); ok {
				code = closed.Code
			}
			ended(code)
			return
		}
		where.show(text)
	}
}

func gobwas() {
	dialer := ws.Dialer{TLSConfig: roots, Protocols: protocols(), Header: ws.HandshakeHeaderHTTP(headers()), Timeout: 10 * time.Second}
	conn, early, _, err := dialer.Dial(context.Background(), webSocketAddress(where.last))
	if err != nil {
		return
	}
	defer conn.Close()
	source := wsutil.Reader{Source: conn, State: ws.StateClientSide, CheckUTF8: true, OnIntermediate: wsutil.ControlFrameHandler(conn, ws.StateClientSide)}
	if early != nil {
		source.Source = early
	}
	current.Store(&connection{
		ping:  func() { wsutil.WriteClientMessage(conn, ws.OpPing, nil) },
		close: func() { wsutil.WriteClientMessage(conn, ws.OpClose, ws.NewCloseFrameBody(1000, "")) },
	})
	if text := first(); text != "" {
		wsutil.WriteClientText(conn, []byte(text))
	}
	for {
		header, err := source.NextFrame()
		if err != nil {
			ended(0)
			return
		}
		body := make([]byte, 0, header.Length)
		for buffer := make([]byte, 4096); ; {
			n, err := source.Read(buffer)
			body = append(body, buffer[:n]...)
			if err != nil {
				break
			}
		}
		switch header.OpCode {
		case ws.OpPong:
			tell(map[string]bool{"pong": true})
		case ws.OpPing:
			wsutil.WriteClientMessage(conn, ws.OpPong, body)
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(body)
			wsutil.WriteClientMessage(conn, ws.OpClose, body)
			ended(int(code))
			return
		default:
			where.show(body)
		}
	}
}

func xnet() {
	config, err := xnetws.NewConfig(webSocketAddress(where.last), base)
	if err != nil {
		panic(err)
	}
	config.Header, config.Protocol, config.TlsConfig = headers(), protocols(), roots
	conn, err := config.DialContext(context.Background())
	if err != nil {
		return
	}
	defer conn.Close()
	// the library's close says no code
	current.Store(&connection{close: func() { conn.Close(); ended(0) }})
	if text := first(); text != "" {
		xnetws.Message.Send(conn, text)
	}
	for {
		var text []byte
		if xnetws.Message.Receive(conn, &text) != nil {
			if !closing.Load() {
				ended(0)
			}
			return
		}
		where.show(text)
	}
}
