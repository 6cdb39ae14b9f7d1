# The smallest web server that shows what is going on: it serves public/index.html and writes a line for each request.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
my $port = shift;
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 128, ReuseAddr => 1)
    or die "web: unable to listen on port $port: $!\n";
open my $file, '<', 'public/index.html' or die "web: unable to read public/index.html: $!\n";
my $page = do { local $/; <$file> };
my $answer = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: " . length($page) . "\r\n\r\n$page";

while (1) {
    my $client = $socket->accept or next;
    local $SIG{PIPE} = 'IGNORE';
    local $SIG{ALRM} = sub { close $client };
    alarm 5;
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/ }
    print $client $answer;
    close $client;
    alarm 0;
    $request =~ s/\s+$//;
    print "web: $request\n";
}
