// A cron worker: it says five times a second that it runs, and with which fence. At TERM it takes a second to end.
setInterval(() => console.log(`tick ${process.env.STEAD_FENCE}`), 200);
process.on("SIGTERM", () => setTimeout(() => process.exit(0), 1000));
