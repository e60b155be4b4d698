/* Linked into static programs alone (build.rs).
 *
 * There glibc would load whatever modules /etc/nsswitch.conf names for hosts (myhostname, resolve, mdns, ...). They are made for the system's libc, and a
 * program that has another version of it built in crashes in them. What is built in, /etc/hosts and DNS, needs none. */
#include <nss.h>

__attribute__((constructor)) static void ask_hosts_file_and_dns(void)
{
    __nss_configure_lookup("hosts", "files dns");
}
