# Mojolicious: Mojo::UserAgent and Mojo::IOLoop.
use v5.36;
use Mojo::IOLoop;
use Mojo::IOLoop::Stream;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::UserAgent;
use Mojo::Util qw(url_escape);

$| = 1;
my ($base, $owner, $token, $way) = @ENV{qw(BASE OWNER TOKEN WAY)};
my $agent = Mojo::UserAgent->new(inactivity_timeout => 0);
$agent->ca($ENV{CA_FILE}) if $ENV{CA_FILE};
my %headers = $way eq 'header' ? (Authorization => "Bearer $token") : $way eq 'cookie' ? (Cookie => "jwt=$token") : ();
my @protocols = $way eq 'protocol' ? ('hangarshare.v1', "bearer.$token") : ('hangarshare.v1');
my ($last, $closing, $socket) = ('', 0, undef);

sub tell_test ($what) { say encode_json($what) }
sub show ($message) { tell_test({got => $message}) }

# example: `%headers` holds Authorization, as Bearer and the token
sub connect_stream {
  my $address = "$base/api/ws?ownerId=$owner&lastEventId=" . url_escape($last);
  $agent->websocket($address =~ s/^http/ws/r => {%headers} => [@protocols] => sub ($agent, $tx) {
    return again() unless $tx->is_websocket;
    $socket = $tx;
    $tx->on(json => sub ($tx, $message) {
      $last = $message->{data}{lastEventId} if $message->{type} eq 'connection_established';
      $last = $message->{id} if $message->{id};
      show($message);
    });
    $tx->on(finish => sub ($tx, $code, $reason) {
      tell_test({ended => $code // 0}); # for the test
      again() unless grep { ($code // 0) == $_ } 4400, 4401, 4403;
    });
    $tx->on(frame => sub ($tx, $frame) { tell_test({pong => \1}) if $frame->[4] == 10 }); # for the test
    $tx->send(encode_json({type => 'auth', ownerId => $owner, token => $token})) if $way eq 'message'; # for the test
  });
}

sub again { Mojo::IOLoop->timer(rand() => \&connect_stream) unless $closing }
# end of example

my $input = Mojo::IOLoop::Stream->new(\*STDIN)->timeout(0);
$input->on(read => sub ($stream, $bytes) {
  for my $line (split /\n/, $bytes) {
    $socket->send([1, 0, 0, 0, 9, '']) if $line eq 'ping';
    if ($line eq 'close') { $closing = 1; $socket->finish(1000) }
  }
});
$input->start;
connect_stream();
Mojo::IOLoop->start;
