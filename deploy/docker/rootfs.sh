#!/bin/sh
# Collects a small root file system out of the Debian system that it runs in: rootfs.sh FOLDER
# Libraries that needletail links or opens (libpq, by dlopen) with all that they need, a small shell for health checks and for looking
# around, tini, certificate authorities. Each Debian package that gave a file leaves its entry for scanners of known holes.
set -eu
root=$1
mkdir -p "$root"/bin "$root"/etc/ssl/certs "$root"/tmp "$root"/proc "$root"/sys "$root"/dev "$root"/run "$root"/var/lib/dpkg/status.d \
    "$root"/usr/bin "$root"/usr/local/bin "$root"/usr/share/doc
chmod 1777 "$root/tmp"

libraries="libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2 libgcc_s.so.1
    libstdc++.so.6 libz.so.1 libpcre2-8.so.0 libsqlite3.so.0 libpq.so.5"
multiarch=$(dirname "$(ldconfig -p | sed -n 's/.*libpcre2-8\.so\.0 .* => //p' | head -1)")
files=$(mktemp)
for library in $libraries; do
    # The loader's cache holds every path; a merged /usr shows some as /lib.
    path=$(ldconfig -p | sed -n "s|^[[:space:]]*$library .* => ||p" | head -1)
    [ -n "$path" ] || { echo "rootfs: $library is not installed" >&2; exit 1; }
    echo "$path"
done > "$files"
for program in /usr/bin/tini /bin/busybox; do echo "$program"; done >> "$files"
# What those need in their turn, the loader among it.
for file in $(cat "$files"); do ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true; done >> "$files"

while read -r file; do
    target=$root$file
    [ -e "$target" ] && continue
    mkdir -p "$(dirname "$target")"
    cp -L "$file" "$target"
    real=$(readlink -f "$file")
    # With a merged /usr dpkg may know the file under either path.
    dpkg -S "$real" 2>/dev/null || dpkg -S "${real#/usr}" 2>/dev/null || true
done < "$files" | cut -d: -f1 | sort -u > "$files.packages"
echo ca-certificates >> "$files.packages"

while read -r package; do
    dpkg-query -s "$package" > "$root/var/lib/dpkg/status.d/$package"
    mkdir -p "$root/usr/share/doc/$package"
    cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/" 2>/dev/null || true
done < "$files.packages"

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp /etc/os-release "$root/etc/os-release"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\nneedletail:x:10001:10001::/home/needletail:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\nneedletail:x:10001:\n' > "$root/etc/group"
printf 'hosts: files dns\n' > "$root/etc/nsswitch.conf"
for name in $(chroot "$root" /bin/busybox --list); do ln -sf busybox "$root/bin/$name"; done
echo "$multiarch" > "$root/etc/ld.so.conf"
ldconfig -r "$root"
rm -f "$files" "$files.packages"
