"""What can be taken along of drawn images: pictures, films, sheets and arrays."""
