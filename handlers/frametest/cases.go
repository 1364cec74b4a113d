package frametest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Case is what a client sends on an established stream, and what must come back.
type Case struct {
	Name      string
	Send      [][]byte // one write each
	HalfClose bool     // the client then says that it will send no more
	Want      []string // as Client.Next tells them; a close is the last
}

// ends reports whether the case ends the connection.
func (c Case) ends() bool {
	return len(c.Want) > 0 && strings.HasPrefix(c.Want[len(c.Want)-1], "close")
}

// Cases returns all of them, those of a kind together.
func Cases() []Case {
	return slices.Concat(messages(), fragments(), sizes(), masks(), reserved(), controls(), texts(), closes(), closings())
}

// send is one write for each piece.
func send(pieces ...[]byte) [][]byte { return pieces }

// answered is a case whose message is answered by pong.
func answered(name string, pieces ...[]byte) Case {
	return Case{name, pieces, false, []string{"text pong"}}
}

// closed is a case that the server closes with a code.
func closed(name string, code int, pieces ...[]byte) Case {
	return Case{name, pieces, false, []string{fmt.Sprint("close ", code)}}
}

func messages() []Case {
	whole := Frame(final|Text, ping)
	list := []Case{
		answered("a text", whole),
		{"an empty text", send(Frame(final|Text, nil)), false, []string{"text error"}},
		closed("a binary message", 4400, Frame(final|Binary, []byte("x"))),
		closed("an empty binary message", 4400, Frame(final|Binary, nil)),
		closed("a binary message in fragments", 4400, Frame(Binary, []byte("x")), Frame(final|Continuation, []byte("y"))),
		{"two texts in one write", send(slices.Concat(whole, whole)), false, []string{"text pong", "text pong"}},
		closed("a text and something wrong in one write", 1002, slices.Concat(Frame(final|0x3, nil))),
		{"good before bad in one write", send(slices.Concat(Frame(final|Ping, []byte("good")), Frame(final|0x3, nil))), false,
			[]string{"pong good", "close 1002"}},
	}
	var bytewise [][]byte
	for _, b := range whole {
		bytewise = append(bytewise, []byte{b})
	}
	return append(list, answered("a text byte by byte", bytewise...))
}

func fragments() []Case {
	var single [][]byte
	for i, b := range ping {
		head := byte(Continuation)
		switch i {
		case 0:
			head = Text
		case len(ping) - 1:
			head |= final
		}
		single = append(single, Frame(head, []byte{b}))
	}
	first, rest := Frame(Text, ping[:4]), Frame(final|Continuation, ping[4:])
	return []Case{
		answered("two fragments", first, rest),
		answered("two fragments in one write", slices.Concat(first, rest)),
		answered("fragments of one byte", single...),
		answered("an empty first fragment", Frame(Text, nil), Frame(final|Continuation, ping)),
		answered("an empty last fragment", Frame(Text, ping), Frame(final|Continuation, nil)),
		answered("empty fragments in between", first, Frame(Continuation, nil), Frame(Continuation, nil), rest),
		{"a ping between fragments", send(first, Frame(final|Ping, []byte("x")), rest), false, []string{"pong x", "text pong"}},
		answered("a pong between fragments", first, Frame(final|Pong, []byte("x")), rest),
		{"a close between fragments", send(first, CloseFrame(1001, "")), false, []string{"close 1001"}},
		closed("a continuation of nothing", 1002, Frame(final|Continuation, []byte("x"))),
		closed("an unfinished continuation of nothing", 1002, Frame(Continuation, []byte("x"))),
		{"a continuation of a whole message", send(Frame(final|Text, ping), Frame(final|Continuation, ping)), false,
			[]string{"text pong", "close 1002"}},
		closed("a text within a text", 1002, first, Frame(final|Text, ping)),
		closed("a binary message within a text", 1002, first, Frame(final|Binary, ping)),
		closed("a text within a binary message", 1002, Frame(Binary, ping), Frame(final|Text, ping)),
	}
}

func sizes() []Case {
	const most = 16 << 10
	var list []Case
	for _, size := range []int{125, 126, 127, 128, 4096, 4097, most - 1, most} {
		list = append(list, answered(fmt.Sprint("a text of ", size, " bytes"), Frame(final|Text, padded(size))))
	}
	half := padded(most)
	list = append(list,
		answered("fragments of 16384 bytes together", Frame(Text, half[:8000]), Frame(final|Continuation, half[8000:])),
		closed("fragments of 16385 bytes together", 1009, Frame(Text, half), Frame(final|Continuation, []byte(" "))),
		closed("a text of 16385 bytes", 1009, Frame(final|Text, padded(most+1))),
		closed("a text of 100000 bytes", 1009, Frame(final|Text, padded(100_000))))
	// Heads alone: what they announce never comes.
	for _, size := range []uint64{most + 1, 0xFFFF} {
		list = append(list, closed(fmt.Sprint("the head of ", size, " bytes"), 1009, long16(final|Text, uint16(size))))
	}
	for _, size := range []uint64{1 << 16, 1 << 32, 1<<63 - 1} {
		list = append(list, closed(fmt.Sprint("the head of ", size, " bytes"), 1009, long64(final|Text, size)))
	}
	return append(list,
		closed("a length with its highest bit", 1002, long64(final|Text, 1<<63)),
		closed("a length of ones", 1002, long64(final|Text, 1<<64-1)),
		closed("a length of 0 in 16 bits", 1002, long16(final|Text, 0)),
		closed("a length of 125 in 16 bits", 1002, long16(final|Text, 125)),
		closed("a length of 5 in 64 bits", 1002, long64(final|Text, 5)),
		closed("a length of 65535 in 64 bits", 1002, long64(final|Text, 0xFFFF)))
}

// long16 and long64 are heads with a length in 16 or 64 bits, whatever it is.
func long16(head byte, size uint16) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{head, 0x80 | 126}, size), mask[:]...)
}

func long64(head byte, size uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{head, 0x80 | 127}, size), mask[:]...)
}

func masks() []Case {
	head := []byte{final | Text, 0x80 | byte(len(ping))}
	return []Case{
		answered("a mask of zeros", masked(head, [4]byte{}, ping)),
		answered("a mask of ones", masked(head, [4]byte{0xFF, 0xFF, 0xFF, 0xFF}, ping)),
		closed("a text without a mask", 1002, append([]byte{final | Text, byte(len(ping))}, ping...)),
		closed("a ping without a mask", 1002, []byte{final | Ping, 0}),
		closed("a close without a mask", 1002, []byte{final | Close, 2, 0x03, 0xE8}),
		closed("a continuation without a mask", 1002, Frame(Text, ping[:4]), []byte{final | Continuation, 0}),
	}
}

func reserved() []Case {
	var list []Case
	for _, bits := range []byte{0x40, 0x20, 0x10, 0x70} {
		list = append(list, closed(fmt.Sprintf("reserved bits %03b on a text", bits>>4), 1002, Frame(final|bits|Text, ping)))
	}
	list = append(list,
		closed("a reserved bit on a ping", 1002, Frame(final|0x40|Ping, nil)),
		closed("a reserved bit on a close", 1002, Frame(final|0x20|Close, nil)),
		closed("a reserved bit on a continuation", 1002, Frame(Text, ping[:4]), Frame(final|0x40|Continuation, ping[4:])))
	for _, opcode := range []byte{0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF} {
		list = append(list, closed(fmt.Sprintf("opcode %X", opcode), 1002, Frame(final|opcode, []byte("x"))))
	}
	return append(list,
		closed("opcode 3 in fragments", 1002, Frame(0x3, nil)),
		closed("opcode B within a text", 1002, Frame(Text, ping[:4]), Frame(final|0xB, nil)))
}

func controls() []Case {
	full := strings.Repeat("p", 125)
	many := Case{Name: "ten pings in one write", Send: [][]byte{nil}}
	for i := range 10 {
		many.Send[0] = append(many.Send[0], Frame(final|Ping, []byte{'0' + byte(i)})...)
		many.Want = append(many.Want, fmt.Sprint("pong ", i))
	}
	return []Case{
		many,
		{"an empty ping", send(Frame(final|Ping, nil)), false, []string{"pong "}},
		{"a ping with a payload", send(Frame(final|Ping, []byte("hello"))), false, []string{"pong hello"}},
		{"a ping of bytes that are no text", send(Frame(final|Ping, []byte{0, 0xFF, 0xFE})), false, []string{"pong \x00\xff\xfe"}},
		{"a ping of 125 bytes", send(Frame(final|Ping, []byte(full))), false, []string{"pong " + full}},
		{"an unasked pong", send(Frame(final|Pong, []byte("x"))), false, nil},
		{"an empty unasked pong", send(Frame(final|Pong, nil)), false, nil},
		closed("a ping of 126 bytes", 1002, Frame(final|Ping, []byte(full+"p"))),
		closed("a ping with a length in 64 bits", 1002, long64(final|Ping, 5)),
		closed("a pong of 126 bytes", 1002, Frame(final|Pong, []byte(full+"p"))),
		closed("a close of 126 bytes", 1002, Frame(final|Close, append([]byte{0x03, 0xE8}, full[:124]...))),
		closed("a ping in fragments", 1002, Frame(Ping, nil)),
		closed("a pong in fragments", 1002, Frame(Pong, nil)),
		closed("a close in fragments", 1002, Frame(Close, nil)),
	}
}

func texts() []Case {
	var list []Case
	for name, text := range map[string]string{
		"a lone continuation byte": "\x80", "an overlong slash": "\xC0\xAF", "an overlong NUL": "\xE0\x80\x80",
		"a surrogate": "\xED\xA0\x80", "beyond U+10FFFF": "\xF4\x90\x80\x80", "a byte FE": "\xFE", "a byte FF": "\xFF",
		"a character cut off": "{\"type\":\"\xC3",
	} {
		list = append(list, closed("text with "+name, 1007, Frame(final|Text, []byte(text))))
	}
	slices.SortFunc(list, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	accented := []byte(`{"type":"ping","x":"é𝄞"}`)
	cut := bytes.IndexByte(accented, 0xC3) + 1
	return append(list,
		answered("a character over two fragments", Frame(Text, accented[:cut]), Frame(final|Continuation, accented[cut:])),
		answered("the last character of all", Frame(final|Text, []byte(`{"type":"ping","x":"`+"\U0010FFFF"+`"}`))),
		closed("half a character in each of two fragments", 1007, Frame(Text, []byte("\xC3")), Frame(final|Continuation, []byte("\xC3"))),
		closed("bytes that are no text in a long message", 1007, Frame(final|Text, append(bytes.Repeat([]byte(" "), 5000), 0xFF))))
}

func closes() []Case {
	list := []Case{
		{"an empty close", send(Frame(final|Close, nil)), false, []string{"close"}},
		closed("half a code", 1002, Frame(final|Close, []byte{3})),
		closed("a reason", 1000, CloseFrame(1000, "that is all")),
		closed("a reason of 123 bytes", 1000, CloseFrame(1000, strings.Repeat("r", 123))),
		closed("a reason that is not UTF-8", 1007, CloseFrame(1000, "\xFF\xFE")),
		closed("a reason that ends within a character", 1007, CloseFrame(1000, "caf\xC3")),
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		list = append(list, closed(fmt.Sprint("a close with ", code), code, CloseFrame(uint16(code), "")))
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		list = append(list, closed(fmt.Sprint("a close with ", code), 1002, CloseFrame(uint16(code), "")))
	}
	return list
}

// closings are closes with something around them.
func closings() []Case {
	bye := CloseFrame(1000, "")
	text := Frame(final|Text, ping)
	return []Case{
		closed("a text behind the close", 1000, slices.Concat(bye, text)),
		closed("a ping behind the close", 1000, slices.Concat(bye, Frame(final|Ping, []byte("x")))),
		closed("a second close", 1000, slices.Concat(bye, CloseFrame(1001, ""))),
		closed("garbage behind the close", 1000, slices.Concat(bye, bytes.Repeat([]byte{0xFF}, 1000))),
		closed("100000 bytes behind the close", 1000, slices.Concat(bye, Frame(final|Text, padded(100_000)))),
		{"a ping before the close", send(slices.Concat(Frame(final|Ping, []byte("x")), bye)), false, []string{"pong x", "close 1000"}},
		{"a half-close behind the close", send(bye), true, []string{"close 1000"}},
		{"a half-close behind something wrong", send(Frame(final|0x3, nil)), true, []string{"close 1002"}},
		closed("a close within a message too long", 1009, slices.Concat(Frame(Text, padded(16<<10)), Frame(Continuation, ping), bye)),
	}
}
