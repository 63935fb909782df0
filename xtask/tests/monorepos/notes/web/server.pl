# A server of perl's own functions, without modules. It writes to everything that it may write to.
$| = 1;
socket(S, 2, 1, 0) or die "socket: $!";
setsockopt(S, 1, 2, 1);
bind(S, pack("S n a4 x8", 2, 8080, "\0\0\0\0")) or die "bind: $!";
listen(S, 16) or die "listen: $!";
for my $path ("/notes/log", "/etc/web.conf", "/cache/x") {
  open(F, ">>", $path) or die "$path: $!";
  print F "written\n";
  close F;
}
opendir(D, "/empty") or die "/empty: $!";
die "/empty is not empty" if grep { !/^\./ } readdir(D);
die "/static can be written" if open(F, ">", "/static/x");
sub about { my @s = stat($_[0]) or return "$_[0] missing\n"; sprintf("%s %o %d:%d\n", $_[0], $s[2] & 07777, $s[4], $s[5]) }
while (1) {
  accept(C, S) or next;
  my $line = <C>;
  while (<C>) { last if /^\r?\n$/ }
  my $body = $line =~ m{ /healthz } ? "ok\n" : $line =~ m{ /greeting } ? "$ENV{GREETING}\n"
    : join "", map { about($_) } "/notes", "/notes/drafts", "/notes/key", "/notes/second", "/etc/web.conf";
  print C "HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
  close C;
}
