# Read by the shells of the tutorials (BASH_ENV). A command that fails anywhere in a cell fails the build,
set -euo pipefail
# what commands note on stderr stands where it was said,
exec 2>&1
# and colours of a terminal, which notebooks ask for, are none on a page.
unset FORCE_COLOR CLICOLOR CLICOLOR_FORCE
export NO_COLOR=1
