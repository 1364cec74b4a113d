package eventlog

// Types of rows of the log. Other types are messages of the same name to browsers.
const (
	// TypeChanged says that an owner's numbers may have changed, and nothing else that
	// anybody is told.
	TypeChanged = "changed"
	// TypeAccess says that it may have changed who may see an owner account.
	TypeAccess = "access"
	// TypeTruncated says that changes happened which the log does not hold. It concerns its owner,
	// or all where it has none.
	TypeTruncated = "truncated"
	// TypeOccupancy says that a hangar became occupied or empty.
	TypeOccupancy = "occupancy_changed"
)

// LogType is a type of rows of the log. Types that begin with a dot are not in the list: they are
// notes of servers to each other, which everything else leaves out.
type LogType struct {
	Name string
	// Message says that a row becomes a message of the same type to the owner's browsers.
	Message bool
	// NamesBookings says that a row tells which bookings it is about, as bookingId or in bookings:
	// the projection asks for that.
	NamesBookings bool
}

// LogTypes are the types that this version knows: the triggers write no other, and the descriptions
// of messages name those that are messages.
var LogTypes = []LogType{
	{Name: "booking_created", Message: true, NamesBookings: true},
	{Name: "booking_updated", Message: true, NamesBookings: true},
	{Name: "booking_completed", Message: true, NamesBookings: true},
	{Name: "revenue_received", Message: true, NamesBookings: true},
	{Name: TypeOccupancy, Message: true},
	{Name: TypeChanged, NamesBookings: true},
	{Name: TypeAccess},
	{Name: TypeTruncated},
}

// BookingTypes are the names of those of LogTypes that name their bookings.
var BookingTypes = func() (names []string) {
	for _, one := range LogTypes {
		if one.NamesBookings {
			names = append(names, one.Name)
		}
	}
	return names
}()

// isMessage is the condition for rows of the log that have a place in an owner's stream: messages,
// those of types that only a newer version knows included, and losses, which may concern everybody.
const isMessage = `(realtime.is_message(type) AND (owner_id IS NOT NULL OR type = 'truncated'))`
