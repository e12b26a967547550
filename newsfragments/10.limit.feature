``--tunnel tcp:8000:limit=10MB/s`` holds a tunnel to so many bytes a second.
