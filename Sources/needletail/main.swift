import CLI

await Needletail.start()
