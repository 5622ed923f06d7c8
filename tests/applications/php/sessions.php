<?php
// Sessions of PHP in Redis, by the extension redis.
if (!extension_loaded('redis')) {
    echo "not installed: the extension redis\n";
    exit(77);
}
ini_set('session.save_handler', 'redis');
ini_set('session.save_path', "tcp://127.0.0.1:{$argv[1]}?timeout=5");
ini_set('session.use_cookies', '0');
ini_set('session.use_only_cookies', '0');
ini_set('session.cache_limiter', '');

// How often this browser was here.
function visit(string $browser): int
{
    session_id($browser);
    session_start();
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
    $visits = $_SESSION['visits'];
    session_write_close();
    return $visits;
}

function same($found, $expected): void
{
    if ($found !== $expected) {
        fwrite(STDERR, var_export($found, true) . ', not ' . var_export($expected, true) . "\n");
        exit(1);
    }
}

// What is written before a session begins would end it, so all is said at the end.
ob_start();
$some = [visit('ada'), visit('ada'), visit('bob')];
ob_end_clean();
same($some, [1, 2, 1]);
fwrite(STDOUT, "halfway\n");
fgets(STDIN);
ob_start();
$more = [visit('ada'), visit('bob')];
session_id('ada');
session_start();
session_destroy();
$more[] = visit('ada');
ob_end_clean();
same($more, [3, 2, 1]);
fwrite(STDOUT, "done\n");
